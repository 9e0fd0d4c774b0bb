"""From hop to hop: how long connections stay open, and how large a request may be, from client to service.

The side that sends requests closes an idle connection first, or a request meets a connection that is being closed:
nobody can tell then whether it was read, and the client gets 502. docs/requests.md has every limit in one table.
"""

IDLE_SECONDS = 120
"""How long a load balancer keeps a connection on which nothing is sent (DigitalOcean API, load_balancers: 30 to 600 s).
An idle WebSocket outlives the default of 60 s this way."""

NGINX_IDLE_SECONDS = IDLE_SECONDS + 10
"""How long nginx keeps an idle connection to the load balancer, which closes it first."""

ANSWER_SECONDS = IDLE_SECONDS - 10
"""How long a service may send nothing: nginx answers 504, and logs it, before the load balancer gives up. An idle
WebSocket ends after it too."""

UPSTREAM_IDLE_SECONDS = 4
"""How long nginx keeps an idle connection to a service. Below what services do by themselves, for images that do not
read the platform's variables: 5 s in uvicorn (uvicorn/main.py, `--timeout-keep-alive`) and Node.js
(`server.keepAliveTimeout`). A new connection on loopback costs next to nothing."""

SERVICE_IDLE_SECONDS = 55
"""How long a service keeps one. The margin is for a machine without a free processor, where nginx is late. It is below
Node.js's `server.headersTimeout` of 60 s, which nobody has to raise then."""

HEADER_KIB = 16
"""All of a request's header on its way to a service: Node.js (`--max-http-header-size`) and h11, uvicorn's parser in
Python (h11/_connection.py, DEFAULT_MAX_INCOMPLETE_EVENT_SIZE), take no more. A response's may have as much."""

CLIENT_HEADER_KIB = HEADER_KIB - 2
"""The same from a client: nginx adds up to 1 KiB of its own (cloud_init/templates/nginx.conf.j2), and its first buffer
has another."""
