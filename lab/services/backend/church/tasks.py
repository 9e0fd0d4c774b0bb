"""What the worker does."""

import logging
import time

from sqlalchemy import text

from . import tenants
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
