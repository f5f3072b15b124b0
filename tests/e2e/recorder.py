"""All frames of one interface, and the datagrams and segments among them."""
import os
import select
import socket
import struct
import threading
import time
from typing import NamedTuple

from harness import MIB, check

ETH_P_ALL = 3
ETHERNET, TCP, UDP = 14, 6, 17
SYN, ACK = 2, 16  # TCP flags
SO_RCVBUFFORCE, SOL_PACKET, PACKET_STATISTICS = 33, 263, 6


class Packet(NamedTuple):
    """Of UDP or TCP, in IPv4 or IPv6 without extension headers."""

    seen: float  # on the monotonic clock, when it was read
    hops: int  # TTL or hop limit
    protocol: int
    source: bytes  # 4 or 16
    source_port: int
    target: bytes
    target_port: int
    flags: int  # of TCP
    payload: bytes


def packet_of(seen, frame):
    """None: another kind of frame."""
    kind = frame[12:14]
    if kind == b"\x08\x00":
        hops, protocol = frame[ETHERNET + 8], frame[ETHERNET + 9]
        source, target = frame[ETHERNET + 12:ETHERNET + 16], frame[ETHERNET + 16:ETHERNET + 20]
        start = ETHERNET + (frame[ETHERNET] & 15) * 4
        end = ETHERNET + struct.unpack("!H", frame[ETHERNET + 2:ETHERNET + 4])[0]
    elif kind == b"\x86\xdd":
        protocol, hops = frame[ETHERNET + 6], frame[ETHERNET + 7]
        source, target = frame[ETHERNET + 8:ETHERNET + 24], frame[ETHERNET + 24:ETHERNET + 40]
        start = ETHERNET + 40
        end = start + struct.unpack("!H", frame[ETHERNET + 4:ETHERNET + 6])[0]
    else:
        return None
    if protocol not in (TCP, UDP):
        return None
    source_port, target_port = struct.unpack("!HH", frame[start:start + 4])
    header = (frame[start + 12] >> 4) * 4 if protocol == TCP else 8
    flags = frame[start + 13] if protocol == TCP else 0
    return Packet(seen, hops, protocol, source, source_port, target, target_port, flags, frame[start + header:end])


class Recorder:
    """All frames of an interface of the script's own namespace."""

    def __init__(self, interface):
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        try:
            self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 * MIB)
        except PermissionError:  # in a user namespace: as much as everybody may have
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * MIB)
        self.socket.bind((interface, 0))
        self.frames = []  # (time of reading, frame)
        self.done, self.stop_pipe = os.pipe()
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        while True:
            ready, _, _ = select.select([self.socket, self.done], [], [])
            if self.socket in ready:
                self.frames.append((time.monotonic(), self.socket.recv(65536)))
            elif self.done in ready:
                return

    def packets(self):
        """The Packets among them so far."""
        for seen, frame in self.frames[:]:
            packet = packet_of(seen, frame)
            if packet:
                yield packet

    def udp(self):
        """The IPv4 datagrams among them: source, its port, target, its port, payload."""
        for packet in self.packets():
            if packet.protocol == UDP and len(packet.source) == 4:
                yield packet.source, packet.source_port, packet.target, packet.target_port, packet.payload

    def stop(self):
        os.write(self.stop_pipe, b".")
        self.thread.join()
        lost = struct.unpack("II", self.socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))[1]
        self.socket.close()
        check(lost == 0, f"the recorder lost {lost} frames")
