"""A server of the Model Context Protocol, written with the official package: a house.

python tests/streaming/mcp_house.py            over standard input and output
python tests/streaming/mcp_house.py --http     at a free port, which it writes
"""

import os
import socket
import sys
from typing import Literal

import anyio
import uvicorn
from mcp.server.mcpserver import Image, MCPServer

house = MCPServer("house")


@house.tool()
def open_door(door: Literal["front", "back"], wide: bool = False) -> str:
    """Open a door of the house."""
    return f"The {door} door is {'wide ' if wide else ''}open."


@house.tool()
def look(room: str | None = None) -> list[str | Image]:
    """What there is to see."""
    return [f"a table in {room}", Image(data=b"", format="png"), "a chair"]


@house.tool()
def read_meter() -> dict[str, int]:
    """Read the meter."""
    raise ValueError("the meter is locked")


@house.tool()
def greet() -> str:
    """Say who lives here."""
    return os.environ.get("TENANT", "nobody")


@house.tool()
async def sleep() -> str:
    """Sleep."""
    await anyio.sleep(60)
    return "slept"


@house.tool()
def leave() -> None:
    """The house is gone."""
    print("Traceback: gone", file=sys.stderr)
    os._exit(1)


def serve(port: int) -> None:
    """Until it is told to end."""
    with socket.create_server(("127.0.0.1", port)) as listening:
        print(listening.getsockname()[1], flush=True)
        app = house.streamable_http_app()
        uvicorn.Server(uvicorn.Config(app, log_level="error")).run([listening])


if __name__ == "__main__":
    if sys.argv[1:]:
        serve(int(sys.argv[1]))
    else:
        house.run()
