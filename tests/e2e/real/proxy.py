#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A bad network in front of a server: proxy.py TARGET_PORT prints "PORT CONTROL_PORT" and forwards bytes on the loopback.

A GET of the control port changes what happens:
  /pass       bytes pass (the beginning)
  /cut        every connection is closed, once
  /stall      nothing is read any more, nothing is closed: a network that lost its way
  /blackhole  as /stall for the connections that are there, for ever; new ones pass
  /refuse     as /cut, and new connections are closed at once
  /count      says how many connections were made
"""
import asyncio
import sys

target = int(sys.argv[1])
connections = set()
state = {"mode": "pass", "count": 0}
passing = asyncio.Event()


class Connection:
    def __init__(self, client):
        self.writers = [client]
        self.dead = False  # stalled for ever

    def close(self):
        for writer in self.writers:
            writer.transport.abort()


async def pump(connection, reader, writer):
    try:
        while True:
            await passing.wait()
            if connection.dead:
                await asyncio.sleep(3600)
            data = await reader.read(65536)
            await passing.wait()
            if connection.dead:
                continue
            if not data:
                break
            writer.write(data)
            await writer.drain()
    except (ConnectionError, OSError):
        pass
    connection.close()


async def accept(reader, writer):
    state["count"] += 1
    connection = Connection(writer)
    if state["mode"] == "refuse":
        connection.close()
        return
    connections.add(connection)
    try:
        await passing.wait()
        other_reader, other = await asyncio.open_connection("127.0.0.1", target, limit=65536)
        connection.writers.append(other)
        await asyncio.gather(pump(connection, reader, other), pump(connection, other_reader, writer))
    except OSError:
        connection.close()
    finally:
        connections.discard(connection)


async def control(reader, writer):
    line = (await reader.readline()).decode().split()
    word = line[1].strip("/") if len(line) > 1 else ""
    if word in ("pass", "stall", "refuse"):
        state["mode"] = word
        passing.clear() if word == "stall" else passing.set()
    if word == "blackhole":
        for connection in connections:
            connection.dead = True
    if word in ("cut", "refuse"):
        for connection in list(connections):
            connection.close()
    body = str(state["count"]) + "\n"
    writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode())
    await writer.drain()
    writer.close()


async def main():
    passing.set()
    # A small window: what is not read stays with the sender, as in a network.
    front = await asyncio.start_server(accept, "127.0.0.1", 0, limit=65536)
    back = await asyncio.start_server(control, "127.0.0.1", 0)
    print(front.sockets[0].getsockname()[1], back.sockets[0].getsockname()[1], flush=True)
    await asyncio.gather(front.serve_forever(), back.serve_forever())


asyncio.run(main())
