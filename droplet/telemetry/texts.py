"""The parts of nginx's configuration for telemetry (droplet/telemetry/nginx.py), to be filled by `str.format`."""

# Requests of containers and droplets, without a word of people in them: the error log may quote them.
HEAD = """\
# Written by presence360-telemetry: do not edit it here.
worker_processes 1;
pid {scratch}/nginx.pid;
error_log stderr error;
events {{
    worker_connections 1024;
}}
http {{
    access_log off;
    server_tokens off;
    default_type application/x-protobuf;
    client_body_temp_path {bodies};
    proxy_temp_path {scratch}/proxy;
    fastcgi_temp_path {scratch}/fastcgi;
    uwsgi_temp_path {scratch}/uwsgi;
    scgi_temp_path {scratch}/scgi;
    client_max_body_size {max_body};
    client_body_buffer_size 64k;
    proxy_max_temp_file_size 0;
    client_header_timeout {timeout}s;
    client_body_timeout {timeout}s;
    # Longer than services pause between two messages.
    keepalive_timeout 75s;
    limit_req_status 429;
    limit_conn_status 429;
    map_hash_bucket_size 128;
"""

UPSTREAM = """
    upstream receiver {{
        server {receiver.address}:{receiver.port};
        keepalive 4;
        keepalive_timeout 60s;
    }}
"""

FORWARD = """\
            limit_req zone=senders burst={burst} nodelay;
            limit_conn connections {at_once};
            limit_conn all {all_at_once};
            proxy_pass https://receiver/v1/metrics;
            proxy_send_timeout {timeout}s;
            proxy_read_timeout {timeout}s;
"""

VERIFIED = """\
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Authorization "Bearer {token}";
            proxy_connect_timeout 2s;
            # One receiver: once it did not answer, the next message is tried all the same.
            proxy_next_upstream off;
            proxy_ssl_protocols TLSv1.3;
            proxy_ssl_verify on;
            proxy_ssl_trusted_certificate {credentials}/{pinned};
            proxy_ssl_name {receiver.name};
"""

# A journal is as long as it is: it passes as it comes, and is kept nowhere on its way.
UPLOAD = """\
            client_max_body_size 0;
            client_body_timeout {seconds}s;
            proxy_request_buffering off;
            proxy_pass https://receiver/upload;
            proxy_send_timeout {seconds}s;
            proxy_read_timeout {seconds}s;
"""

FILTER = """\
            limit_req zone=senders burst={burst} nodelay;
            limit_conn connections {at_once};
            limit_conn all {all_at_once};
            proxy_pass http://127.0.0.1:{port};
            proxy_http_version 1.1;
            proxy_connect_timeout 2s;
            proxy_read_timeout 10s;
            proxy_next_upstream off;
"""

ONWARDS = """\
            proxy_pass https://receiver/v1/traces;
            proxy_send_timeout {timeout}s;
            proxy_read_timeout {timeout}s;
"""

TRACES_STORE = """\
            if ($sender = "") {{
                return 401;
            }}
            limit_req zone=groups burst={burst} nodelay;
            limit_conn messages {at_once};
            limit_conn all_messages {all_at_once};
            # As for metrics: who sends is said by the token.
            proxy_pass {store}?extra_fields=resource_attr:presence360.group=$sender;
            proxy_http_version 1.1;
            proxy_set_header Authorization "";
"""

LOOPBACK = """
    server {{
        listen 127.0.0.1:{port};
        location = /v1/traces {{
{onwards}        }}
        location = /upload {{
{upload}        }}
        location / {{
            return 404;
        }}
    }}
"""

# Logs are the container's output, and traces may be kept nowhere: a service that sends them all the same hears that all
# is well.
LISTENER = """
    limit_req_zone $binary_remote_addr zone=senders:1m rate={rate}r/s;
    limit_conn_zone $binary_remote_addr zone=connections:1m;
    limit_conn_zone $server_port zone=all:1m;
    server {{
        listen {listener.address}:{listener.port};
        location = /v1/metrics {{
{forward}        }}
        location = /v1/traces {{
{traces}        }}
        location = /v1/logs {{
            return 200;
        }}
        location / {{
            return 404;
        }}
    }}
"""

RECEPTION = """
    map $http_authorization $sender {{
        default "";
{senders}    }}
    limit_req_zone $sender zone=groups:1m rate={rate}r/s;
    # Each group has a journal-remote of its own: what a group's key can write is in that group's folder, and takes that
    # group's part of the disk.
    map $sender $journal {{
        default "";
{journals}    }}
    # journal-remote names a file by the address that it is asked from. So that each droplet has its own, what comes
    # from 10.60.0.11 asks it from 127.60.0.11. No droplet chooses its address.
    map $remote_addr $own_file {{
        default 127.0.0.1;
        "~^\\d+\\.(?<rest>\\d+\\.\\d+\\.\\d+)$" 127.$rest;
    }}
    limit_conn_zone $sender zone=uploads:1m;
    limit_conn_zone $sender zone=messages:1m;
    limit_conn_zone $server_port zone=all_messages:1m;
    server {{
        listen {reception.address}:{reception.port} ssl;
        ssl_certificate {credentials}/droplet.crt;
        ssl_certificate_key {credentials}/droplet.key;
        ssl_protocols TLSv1.3;
        ssl_session_tickets off;
        allow {reception.vpc_range};
        deny all;
        location = /v1/metrics {{
            if ($sender = "") {{
                return 401;
            }}
            limit_req zone=groups burst={burst} nodelay;
            limit_conn messages {at_once};
            limit_conn all_messages {all_at_once};
            # Who sends is said by the token, whatever the message says. By `origin` the store drops names that no
            # service may send (cloud_init/observability.py).
            proxy_pass {store}?extra_label=group=$sender&extra_label=origin=otlp;
            proxy_http_version 1.1;
            proxy_set_header Authorization "";
        }}
        location = /v1/traces {{
{traces}        }}
        location = /upload {{
            if ($journal = "") {{
                return 401;
            }}
            limit_conn uploads {uploads};
            client_max_body_size 0;
            client_body_timeout {seconds}s;
            proxy_request_buffering off;
            proxy_bind $own_file;
            proxy_pass http://127.0.0.1:$journal/upload;
            proxy_http_version 1.1;
            proxy_set_header Authorization "";
            proxy_send_timeout {seconds}s;
            proxy_read_timeout {seconds}s;
        }}
        location / {{
            return 404;
        }}
    }}
"""
