# SPDX-License-Identifier: Apache-2.0
"""Key logs of rustls, which Deno and workerd have linked in: stripped, and nothing exported."""
import os
import unittest
import urllib.request

from harness import free_port, wait_listening
from proof import EARLY, TLS13, Authority, ProofCase
import programs

DENO_FETCH = """
const [url, body] = Deno.args;
console.log(await (await fetch(url, {method: 'POST', body})).text());
"""
DENO_SERVE = """
const [port, key, cert] = Deno.args;
Deno.serve({hostname: '127.0.0.1', port: Number(port), key: Deno.readTextFileSync(key),
            cert: Deno.readTextFileSync(cert)}, async (request) => {
    const word = /request-([0-9a-z]+)/.exec(await request.text())[1];
    return new Response('<p>answer-' + word + '.</p>');
});
"""
WORKER = """
export default {async fetch(request) {
    const url = request.headers.get('X-Url'), body = await request.text();
    if (url)
        return fetch(url, {method: 'POST', body});
    return new Response('<p>answer-' + /request-([0-9a-z]+)/.exec(body)[1] + '.</p>');
}};
"""
CONFIG = """
using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = (modules = [(name = "worker", esModule = embed "worker.js")],
                              compatibilityDate = "2024-01-01")),
    (name = "internet", network = (allow = ["local"], tlsOptions = (
      trustedCertificates = [embed "issuer.pem"])))],
  sockets = [
    (name = "plain", address = "127.0.0.1:%d", http = (), service = "main"),
    (name = "tls", address = "127.0.0.1:%d", service = "main", https = (tlsOptions = (
      keypair = (privateKey = embed "key.pem", certificateChain = embed "cert.pem"))))]
);
"""


class Rustls(ProofCase):
    PROGRAM = None
    CERT = Authority

    @classmethod
    def tap_args(cls):
        cls.program = programs.get(cls.PROGRAM)
        return ["--libssl", cls.program]

    def check_server_by(self, server, own=None):
        """Full and resumed. rustls derives the early secret of clients before it knows whether
        there is early data."""
        for tls in ("1.2", "1.3"):
            session = None
            for early in ((), EARLY[:1]):
                with self.subTest(tls=tls, resumed=bool(early)):
                    mark = self.mark()
                    session = self.ask(self.server_port, mark, tls, session)
                    self.prove(mark, pid=server.pid, truth=own, tls=tls,
                               port=self.server_port, labels=TLS13 + early)


class Deno(Rustls):
    PROGRAM = "deno"

    def deno(self, start, script, *args):
        env = {**os.environ, "DENO_DIR": self.path("deno"), "DENO_NO_UPDATE_CHECK": "1",
               "SSLKEYLOGFILE": self.path("own")}
        return start(self.program, "run", "-A", "--cert", self.cert.issuer,
                     self.path("script.ts", script.encode()), *args, env=env)

    def check_client(self, tls, port):
        mark = self.mark()
        client = self.deno(self.run_program, DENO_FETCH, f"https://localhost:{port}/",
                           mark[0].decode())
        self.assertIn(mark[1], client.output())
        self.prove(mark, pid=client.pid, truth=self.path("own"), tls=tls, port=port)

    def test_client_tls12(self):
        self.check_client("1.2", self.peer12_port)

    def test_client_tls13(self):
        self.check_client("1.3", self.peer_port)

    def test_server(self):
        server = self.deno(self.start, DENO_SERVE, str(self.server_port), self.cert.key,
                           self.cert.cert)
        wait_listening(server, self.server_port)
        self.check_server_by(server, self.path("own"))
        server.stop()


class Workerd(Rustls):
    PROGRAM = "workerd"

    def workerd(self):
        port = free_port()
        self.path("worker.js", WORKER.encode())
        for name, path in (("cert.pem", self.cert.cert), ("key.pem", self.cert.key),
                           ("issuer.pem", self.cert.issuer)):
            with open(path, "rb") as file:
                self.path(name, file.read())
        config = self.path("config.capnp", (CONFIG % (port, self.server_port)).encode())
        proc = self.start(self.program, "serve", config)
        wait_listening(proc, port)
        return proc, port

    def test_client(self):
        proc, port = self.workerd()
        for tls, peer in (("1.2", self.peer12_port), ("1.3", self.peer_port)):
            with self.subTest(tls=tls):
                mark = self.mark()
                request = urllib.request.Request(
                    f"http://127.0.0.1:{port}/", mark[0],
                    {"X-Url": f"https://localhost:{peer}/"})
                with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
                        request, timeout=60) as answer:
                    self.assertIn(mark[1], answer.read())
                self.prove(mark, pid=proc.pid, tls=tls, port=peer)
        proc.stop()

    def test_server(self):
        proc, _ = self.workerd()
        wait_listening(proc, self.server_port)
        self.check_server_by(proc)
        proc.stop()


if __name__ == "__main__":
    unittest.main()
