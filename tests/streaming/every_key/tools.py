"""What functions of our own and of others do."""

import time
from contextlib import closing, suppress
from dataclasses import replace
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from urllib.parse import urlsplit

from assistant.errors import ConfigError
from assistant.model import load
from assistant.own_tools import Outcome
from streaming import build
from streaming.config import Config
from streaming.mcp_servers import McpServers
from streaming.shell import shell_of

PROGRAM = """\
import json, os, sys

TOOLS = [os.environ.get("TOOL", "one"), *sys.argv[1:]]
for line in sys.stdin:
    asked = json.loads(line)
    answer = {"jsonrpc": "2.0", "id": asked.get("id")}
    if asked["method"] == "initialize":
        version = asked["params"]["protocolVersion"]
        about = {"name": "", "version": ""}
        given = {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": about}
        answer["result"] = given
    elif asked["method"] == "tools/list":
        anything = {"type": "object"}
        answer["result"] = {"tools": [{"name": t, "inputSchema": anything} for t in TOOLS]}
    else:
        answer["error"] = {"code": -32601, "message": "there is no such method"}
    if "id" in asked:
        print(json.dumps(answer), flush=True)
"""
"""A small server of the Model Context Protocol; its tools are named by `TOOL` and its arguments."""


def tooled(config: Config) -> object:
    """The functions of our own that sessions offer."""
    with closing(shell_of(config)) as shell:
        return build.offered(load(config.model), config, shell.functions.values())


def too_long(config: Config) -> object:
    """What is said of a function that takes a moment."""

    def run() -> Outcome:
        time.sleep(0.1)
        return Outcome("", "Done.")

    return shell_of(config).timed("f", run).say


def listed(config: Config) -> list[str]:
    """The tools of servers."""
    with closing(McpServers(config.tools.mcp, config.tools.wait_s)) as servers:
        return [function.tool.name for function in servers.start()]


def asked_for(config: Config) -> list[tuple[str, str | None]]:
    """What a server at an address is asked, which has none of it: path and token."""
    asked: list[tuple[str, str | None]] = []

    class Nobody(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append((self.path, self.headers["Authorization"]))
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_error(HTTPStatus.NOT_FOUND)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Nobody) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        there = {
            name: one.model_copy(update={"url": f"{address}{urlsplit(one.url).path!s}"})
            for name, one in config.tools.mcp.items()
        }
        tools = config.tools.model_copy(update={"mcp": there})
        with suppress(ConfigError):
            listed(replace(config, tools=tools))
        server.shutdown()
    return asked
