"""What is served, as both Replicate's clients and OpenAI's ask for it: models, versions, input schemas."""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Request
from starlette.exceptions import HTTPException

from serving.catalog import DIA, OWNER, Served, ServedModel
from serving.doors.predictions.routes import ModelName, ModelOwner, named
from serving.doors.speech.request import openai_models
from serving.prediction_json import moment
from serving.service import Service
from serving.web import response_schemas
from serving.web.gate import CallerName, ServiceDep, caller, gate_of

RELEASED = 1_767_225_600  # 2026-01-01, seconds since 1970: both forms want a time of creation
COG_VERSION = "0.23.1"

router = APIRouter(prefix="/v1/models", tags=["models"], dependencies=[Depends(caller)])
SortedBy = Literal["model_created_at", "latest_version_created_at"]
Digits = Annotated[str, Path(examples=[DIA.version])]


def _run_count(request: Request, service: ServiceDep, owner: CallerName) -> Callable[[str], int]:
    """How often a model has run: for everybody, if the caller may know that; else for them, as far as it is kept."""
    if gate_of(request).oversees(request):
        return service.tallies.count_of
    return partial(service.history.count, owner)


RunCount = Annotated[Callable[[str], int], Depends(_run_count)]


@router.get("", **response_schemas.gives(response_schemas.ModelPage))
def every(
    service: ServiceDep,
    runs: RunCount,
    sort_by: SortedBy = "latest_version_created_at",
    sort_direction: Literal["asc", "desc"] = "desc",
) -> dict[str, Any]:
    """All of them: `data` is OpenAI's list, `results` Replicate's page. All are as old, so each order is theirs."""
    shown = [_model(model, service, runs) for model in service.models.values()]
    data = [_openai_model(name) for name in _openai_names(service.models)]
    return {"object": "list", "data": data, "results": shown, "next": None, "previous": None}


@router.get("/{name}", **response_schemas.gives(response_schemas.NamedModel))
def openai_model(name: ModelName, service: ServiceDep) -> dict[str, Any]:
    """One, as OpenAI's clients ask for it: by its name without an owner, or by the name of OpenAI's it stands for."""
    known = _openai_names(service.models)
    if name not in known:
        raise HTTPException(404, f"There is no model {name[:80]!r}. Served: {', '.join(known)}.")
    return _openai_model(name)


@router.get("/{owner}/{name}", **response_schemas.gives(response_schemas.Model))
def one(owner: ModelOwner, name: ModelName, service: ServiceDep, runs: RunCount) -> dict[str, Any]:
    return _model(named(owner, name, service.models), service, runs)


@router.get("/{owner}/{name}/versions", **response_schemas.gives(response_schemas.VersionPage))
def versions(owner: ModelOwner, name: ModelName, service: ServiceDep) -> dict[str, Any]:
    return {"results": [_version(named(owner, name, service.models))], "next": None, "previous": None}


@router.get("/{owner}/{name}/versions/{version}", **response_schemas.gives(response_schemas.Version))
def version(owner: ModelOwner, name: ModelName, version: Digits, service: ServiceDep) -> dict[str, Any]:
    return _version(_versioned(owner, name, version, service.models))


@router.get("/{owner}/{name}/versions/{version}/openapi_schema")
def openapi_schema(owner: ModelOwner, name: ModelName, version: Digits, service: ServiceDep) -> dict[str, Any]:
    """The schema alone."""
    return _versioned(owner, name, version, service.models).openapi_schema


def _versioned(owner: str, name: str, version: str, served: Served) -> ServedModel:
    model = named(owner, name, served)
    if version != model.version:
        raise HTTPException(404, f"{model.full_name} has no version {version[:64]!r}; its newest is {model.version}.")
    return model


def _model(model: ServedModel, service: Service, runs: Callable[[str], int]) -> dict[str, Any]:
    return {
        "url": service.links.base,
        "owner": model.full_name.partition("/")[0],
        "name": model.name,
        "description": model.description,
        "visibility": "public",
        "is_official": True,
        "github_url": None,
        "paper_url": None,
        "license_url": model.license_url,
        "run_count": runs(model.full_name),
        "cover_image_url": None,
        "default_example": None,
        "latest_version": _version(model),
    }


def _version(model: ServedModel) -> dict[str, Any]:
    return {
        "id": model.version,
        "created_at": moment(RELEASED),
        "cog_version": COG_VERSION,
        "openapi_schema": model.openapi_schema,
    }


def _openai_names(served: Served) -> list[str]:
    """Those that the speech door takes are among them."""
    return [*(model.name for model in served.values()), *openai_models(served)]


def _openai_model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": RELEASED, "owned_by": OWNER}
