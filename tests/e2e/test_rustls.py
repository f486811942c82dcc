# SPDX-License-Identifier: Apache-2.0
"""Key logs of a program that does not want one: rustls asks it, and logs nothing.

Deno 1 is like that; Deno 2, in test_secrets_rustls.py, has rustls log them and throws them away.
"""
import os
import unittest

from harness import wait_listening
from proof import EARLY, TLS13, ProofCase
import programs

FETCH = """
const [url, body] = Deno.args;
const answer = await fetch(url, {method: 'POST', body});
console.log(await answer.text());
"""
SERVE = """
const [port, key, cert] = Deno.args;
const listener = Deno.listenTls({hostname: '127.0.0.1', port: Number(port),
                                 key: Deno.readTextFileSync(key),
                                 cert: Deno.readTextFileSync(cert)});
for (;;) {
    const conn = await listener.accept();
    let text = '', match = null, got;
    const data = new Uint8Array(4096);
    while (!match && (got = await conn.read(data)) !== null) {
        text += new TextDecoder().decode(data.subarray(0, got));
        match = /request-([0-9a-z]+)\\./.exec(text);
    }
    if (match)
        await conn.write(new TextEncoder().encode('<p>answer-' + match[1] + '.</p>\\n'));
    conn.close();
}
"""


def quiet(case):
    """An environment in which the program writes no key log itself, and asks nobody for updates."""
    env = {name: value for name, value in os.environ.items() if name != "SSLKEYLOGFILE"}
    return {**env, "HOME": case.path("home"), "DENO_DIR": case.path("deno"), "NO_COLOR": "1",
            "DENO_NO_UPDATE_CHECK": "1"}


class Deno(ProofCase):

    @classmethod
    def tap_args(cls):
        cls.paths = programs.get_all(("deno1",))
        return [word for path in cls.paths.values() for word in ("--libssl", path)]

    def deno(self, name, text, *args):
        """The command that runs a script."""
        return (self.paths[name], "run", "--allow-all", "--quiet",
                "--unsafely-ignore-certificate-errors=localhost",
                self.path("script.mjs", text.encode()), *args)

    def check_client(self, name):
        for tls, port in (("1.2", self.peer12_port), ("1.3", self.peer_port)):
            with self.subTest(tls=tls):
                mark = self.mark()
                client = self.run_program(*self.deno(name, FETCH, f"https://localhost:{port}/",
                                                     mark[0].decode()), env=quiet(self))
                self.assertIn(mark[1], client.output())
                self.prove(mark, pid=client.pid, tls=tls, port=port)

    def check_server(self, name):
        server = self.start(*self.deno(name, SERVE, str(self.server_port), self.cert.key,
                                       self.cert.cert), env=quiet(self))
        wait_listening(server, self.server_port)
        for tls in ("1.2", "1.3"):
            mark = self.mark()
            session = self.ask(self.server_port, mark, tls)
            self.prove(mark, pid=server.pid, tls=tls, port=self.server_port)
            mark = self.mark()
            self.ask(self.server_port, mark, tls, session)
            # Resumed: rustls has a secret for early data, which the client has not sent.
            early = EARLY[:1] if tls == "1.3" else ()
            self.prove(mark, pid=server.pid, tls=tls, port=self.server_port,
                       labels=TLS13 + early, alone=early)
        server.stop()

    def test_older_client(self):
        self.check_client("deno1")

    def test_older_server(self):
        self.check_server("deno1")


if __name__ == "__main__":
    unittest.main()
