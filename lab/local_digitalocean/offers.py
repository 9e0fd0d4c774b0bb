"""The lists of what can be ordered."""

from lab.local_digitalocean import catalogue
from lab.local_digitalocean.routes import Answer, Request, Routes
from model.sold import DROPLET_SIZES

routes = Routes()


@routes.add("GET", "/v2/regions")
def _regions(request: Request) -> Answer:
    return 200, request.page("regions", [catalogue.region(slug) for slug in catalogue.REGIONS])


@routes.add("GET", "/v2/sizes")
def _sizes(request: Request) -> Answer:
    return 200, request.page("sizes", [catalogue.droplet_size(slug) for slug in sorted(DROPLET_SIZES)])
