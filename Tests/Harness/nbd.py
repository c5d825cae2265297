"""A small NBD client over a Unix socket, so that tests can place single reads and writes.

Fixed newstyle, simple replies, one request in flight for each connection; several connections give concurrency.
"""
import socket
import struct


class NBDError(OSError):
    pass


class NBDClient:
    FUA = 1

    def __init__(self, path, export="", timeout=60):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(timeout)
        self.socket.connect(str(path))
        self.cookie = 0
        self._handshake(export.encode())

    def _receive(self, count):
        data = bytearray()
        while len(data) < count:
            piece = self.socket.recv(count - len(data))
            if not piece:
                raise NBDError("the server closed the connection")
            data += piece
        return bytes(data)

    def _handshake(self, export):
        magic, option_magic, flags = struct.unpack(">QQH", self._receive(18))
        assert magic == 0x4E42444D41474943 and option_magic == 0x49484156454F5054, "not an NBD server"
        assert flags & 1, "no fixed newstyle"
        self.socket.sendall(struct.pack(">I", 3 if flags & 2 else 1))
        request = struct.pack(">I", len(export)) + export + struct.pack(">H", 0)
        self.socket.sendall(struct.pack(">QII", option_magic, 7, len(request)) + request)
        while True:
            reply_magic, option, kind, length = struct.unpack(">QIII", self._receive(20))
            assert reply_magic == 0x3E889045565A9, "bad option reply"
            data = self._receive(length)
            if kind == 1:
                return
            if kind & 0x80000000:
                raise NBDError("export refused (%#x): %s" % (kind, data.decode(errors="replace")))
            if kind == 3 and struct.unpack(">H", data[:2])[0] == 0:
                self.size, self.flags = struct.unpack(">QH", data[2:12])

    def _command(self, kind, offset, length, flags=0, data=b""):
        self.cookie += 1
        self.socket.sendall(struct.pack(">IHHQQI", 0x25609513, flags, kind, self.cookie, offset, length) + data)
        magic, error, cookie = struct.unpack(">IIQ", self._receive(16))
        assert magic == 0x67446698 and cookie == self.cookie, "bad reply"
        if error:
            raise NBDError(error, "NBD command %d at %d failed" % (kind, offset))
        return self._receive(length) if kind == 0 else b""

    def read(self, offset, length):
        return self._command(0, offset, length)

    def write(self, offset, data, fua=False):
        self._command(1, offset, len(data), self.FUA if fua else 0, data)

    def flush(self):
        self._command(3, 0, 0)

    def trim(self, offset, length):
        self._command(4, offset, length)

    def zero(self, offset, length):
        self._command(6, offset, length)

    def close(self):
        try:
            self.socket.sendall(struct.pack(">IHHQQI", 0x25609513, 0, 2, 0, 0, 0))
        except OSError:
            pass
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
