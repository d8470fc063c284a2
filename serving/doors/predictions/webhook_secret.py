"""Door 2's secret: what a receiver of one's webhooks checks their signatures with."""

from fastapi import APIRouter

from serving.web import response_schemas
from serving.web.gate import CallerName, ServiceDep
from serving.work.webhooks import secret_of

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])


@router.get("/default/secret", **response_schemas.gives(response_schemas.WebhookSecret))
def secret(service: ServiceDep, owner: CallerName) -> dict[str, str]:
    """What one's own webhooks are signed with."""
    return {"key": secret_of(service.vault.webhooks, owner)}
