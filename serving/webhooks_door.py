"""Door 2's secret: what a receiver of one's webhooks checks their signatures with."""

from typing import Annotated

from fastapi import APIRouter, Depends

from serving import answers
from serving.door import caller, service_of
from serving.service import Service
from serving.webhooks import secret_of

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])
Here = Annotated[Service, Depends(service_of)]
Caller = Annotated[str, Depends(caller)]


@router.get("/default/secret", **answers.gives(answers.WebhookSecret))
def secret(service: Here, owner: Caller) -> dict[str, str]:
    """What one's own webhooks are signed with."""
    return {"key": secret_of(service.vault.webhooks, owner)}
