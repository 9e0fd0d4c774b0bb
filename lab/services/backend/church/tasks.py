"""What the worker does."""

import base64
import logging
import time

from sqlalchemy import text

from . import providers, tenants
from .celery_app import celery

log = logging.getLogger(__name__)


@celery.task(ignore_result=False)
def export_people(tenant: str, seconds: float) -> int:
    """Write out a church's people; return how many there are. It may run twice: it changes nothing."""
    with tenants.engine_for(tenant).begin() as connection:
        names = list(connection.execute(text("SELECT name FROM people ORDER BY name")).scalars())
    log.info("export begins")
    for _ in names:
        time.sleep(seconds)
    log.info("export ends", extra={"fields": {"people": len(names)}})
    return len(names)


@celery.task
def greet(tenant: str, picture: str, phone: str) -> None:
    """Greet who stands before a church's camera. It may run twice: somebody then has two messages."""
    known = providers.faces(tenant, base64.b64decode(picture))
    log.info("faces were looked for", extra={"fields": {"faces": len(known)}})
    if known:
        providers.message(phone, "Welcome")
