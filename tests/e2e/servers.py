# SPDX-License-Identifier: Apache-2.0
"""Real programs, set up for a test: each function starts one and returns (process, port)."""
import os
import re
import shutil

from harness import HarnessError, children_of, free_port, read_file, wait_for, wait_listening

SBIN = "/usr/sbin:/sbin"


def program(name):
    """Servers live in sbin, which is not on everybody's path."""
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":" + SBIN)
    if not path:
        raise HarnessError(f"{name} is not installed: run `make deps`")
    return path


def nginx(case, files=None, http2=False, port=None):
    """files: name -> bytes, served from /."""
    port, folder = port or free_port(), case.path("nginx")
    os.makedirs(f"{folder}/www")
    for name, data in (files or {}).items():
        with open(f"{folder}/www/{name}", "wb") as file:
            file.write(data)
    temp = "\n".join(f"{name}_temp_path {folder}/{name};" for name in
                     ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    with open(f"{folder}/nginx.conf", "w") as file:
        file.write(f"""
daemon off; master_process on; worker_processes 1; user root;
pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off; {temp} client_max_body_size 0; keepalive_requests 1000000;
  server {{
    listen 127.0.0.1:{port} ssl{" http2" if http2 else ""};
    ssl_certificate {case.cert.cert}; ssl_certificate_key {case.cert.key};
    ssl_protocols TLSv1.2 TLSv1.3;
    root {folder}/www;
    location = /short {{ default_type text/plain; return 200 "short answer\\n"; }}
  }}
}}
""")
    proc = case.start(program("nginx"), "-e", f"{folder}/error.log", "-c", f"{folder}/nginx.conf")
    wait_listening(proc, port)
    wait_for(lambda: children_of(proc.pid), "nginx's worker")
    return proc, port


def worker(proc):
    """The pid of nginx's only worker."""
    (pid,) = children_of(proc.pid)
    return pid


def redis(case, *args):
    port = free_port()
    proc = case.start("redis-server", "--port", "0", "--bind", "127.0.0.1", "--tls-port",
                      str(port), "--tls-cert-file", case.cert.cert, "--tls-key-file",
                      case.cert.key, "--tls-ca-cert-file", case.cert.cert, "--tls-auth-clients",
                      "no", "--save", "", "--dir", case.dir, *args)
    wait_listening(proc, port)
    return proc, port


def haproxy(case, backend, mode="http"):
    """TLS in front and TLS behind, to the port backend."""
    port = free_port()
    config = case.path("haproxy.cfg", f"""
global
  nbthread 1
defaults
  mode {mode}
  timeout connect 60s
  timeout client 60s
  timeout server 60s
  {"option httpclose" if mode == "http" else ""}
frontend front
  bind 127.0.0.1:{port} ssl crt {case.cert.both}
  default_backend back
backend back
  server peer 127.0.0.1:{backend} ssl verify none
""".encode())
    proc = case.start(program("haproxy"), "-db", "-f", config)
    wait_listening(proc, port)
    return proc, port


def stunnel(case, backend):
    """plain -> TLS client -> TLS server -> plain backend, all in one process.

    Returns (process, plain port, TLS port)."""
    plain, tls = free_port(), free_port()
    config = case.path("stunnel.conf", f"""
foreground = yes
pid =
[server]
accept = 127.0.0.1:{tls}
connect = 127.0.0.1:{backend}
cert = {case.cert.both}
[client]
client = yes
accept = 127.0.0.1:{plain}
connect = 127.0.0.1:{tls}
""".encode())
    proc = case.start("stunnel4", config)
    wait_listening(proc, plain)
    wait_listening(proc, tls)
    return proc, plain, tls


def s_server(case, *args, stdin=None, cwd=None):
    port = free_port()
    keywords = {"stdin": stdin} if stdin is not None else {}
    proc = case.start("openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert",
                      case.cert.cert, "-key", case.cert.key, *args, cwd=cwd, **keywords)
    wait_listening(proc, port)
    return proc, port


class Curl:
    """One finished run of curl, and by its own trace what it sent and received."""

    def __init__(self, case, url, *args, status=0, prefix=()):
        self.trace = case.path(f"curl-{len(os.listdir(case.dir))}.trace")
        self.url = url
        self.proc = case.run_program(*prefix, "curl", "-sS", "--http1.1", "--cacert",
                                     case.cert.cert, "--trace", self.trace, *args, url,
                                     status=status)
        self.pid = self.proc.pid
        self.sent = traced(self.trace, "=> Send")
        self.received = traced(self.trace, "<= Recv")
        self.body = self.proc.output()


def traced(path, arrow):
    """The bytes in curl's --trace file; "SSL data" there is handshake, not plaintext."""
    data, wanted = bytearray(), False
    for line in read_file(path).decode("latin-1").split("\n"):
        if re.match(r"[0-9a-f]{4,}: ", line):
            if wanted:
                data += bytes.fromhex(line.split(": ", 1)[1][:48])
        else:
            wanted = line.startswith((f"{arrow} header", f"{arrow} data"))
    return bytes(data)
