import datetime
import socket
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from embedtune.errors import StorageError
from embedtune.storage.access import AccessRules, ForbiddenError
from embedtune.storage.content_reader import ContentReader
from embedtune.storage.errors import UnreachableError

REAL_LOOK_UP = socket.getaddrinfo


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


HAS_IPV6 = has_ipv6()


@dataclass
class Pictures:
    """A real web server with one picture and many bad habits."""

    port: int = 0
    target: str = ""
    """Where /to/ leads."""
    asked: list[str] = field(default_factory=list)
    """The paths of the requests so far."""
    hosts: list[str] = field(default_factory=list)
    """Their Host headers."""
    peers: set[tuple[str, int]] = field(default_factory=set)
    """The connections that requests came on."""
    heads: list[dict[str, str]] = field(default_factory=list)
    """The headers of the requests so far."""

    def uri(self, path: str, host: str = "127.0.0.1", scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}{path}"

    @property
    def allowed(self) -> str:
        return f"127.0.0.1:{self.port}"


class PicturesHandler(BaseHTTPRequestHandler):
    state: Pictures
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.state.asked.append(self.path)
        self.state.hosts.append(self.headers["Host"])
        self.state.heads.append(dict(self.headers))
        self.state.peers.add(self.client_address)
        name, _, argument = self.path.removeprefix("/").partition("/")
        with suppress(OSError):
            getattr(self, f"send_{name}", self.send_missing)(unquote(argument))

    def head(self, status=200, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def send_picture(self, _):
        self.head(Content_Length="7")
        self.wfile.write(b"picture")

    def send_missing(self, _):
        self.head(404, Content_Length="0")

    def send_to(self, target):
        self.head(302, Location=target or self.state.target, Content_Length="0")

    def send_again(self, count):
        self.head(301, Location=f"/again/{int(count) - 1}" if count != "0" else "/picture", Content_Length="0")

    def send_lost(self, _):
        self.head(302, Content_Length="0")

    def send_endless(self, _):
        self.close_connection = True
        self.head(Connection="close")
        while True:
            self.wfile.write(bytes(1 << 16))

    def send_chunks(self, _):
        self.head(Transfer_Encoding="chunked")
        while True:
            self.wfile.write(b"10000\r\n" + bytes(1 << 16) + b"\r\n")

    def send_drip(self, _):
        self.head(Content_Length="1000")
        self.drip(b"x")

    def send_drip_chunks(self, _):
        self.head(Transfer_Encoding="chunked")
        self.drip(b"1\r\nx\r\n")

    def drip(self, piece):
        while True:
            self.wfile.write(piece)
            time.sleep(0.05)

    def send_silence(self, _):
        time.sleep(3)

    def send_cut(self, _):
        self.close_connection = True
        self.head(Content_Length="1000")
        self.wfile.write(b"picture")

    def send_large(self, _):
        self.close_connection = True
        self.head(Content_Length="1000000000000")

    def send_more(self, _):
        self.close_connection = True
        self.head(Content_Length="7")
        self.wfile.write(b"picture and more")

    def send_gzip(self, _):
        self.head(Content_Length="7", Content_Encoding="gzip")
        self.wfile.write(b"picture")

    def send_broken(self, _):
        self.head(500, Content_Length="0")

    def send_busy(self, _):
        if len(self.state.asked) < 3:
            self.head(503, Content_Length="0", Retry_After="86400")
        else:
            self.send_picture("")


@contextmanager
def serving(context: ssl.SSLContext | None = None, host: str = "127.0.0.1"):
    state = Pictures()
    kind = type(
        "Server", (ThreadingHTTPServer,), {"address_family": socket.AF_INET6 if ":" in host else socket.AF_INET}
    )
    server = kind((host, 0), type("Handler", (PicturesHandler,), {"state": state}))
    server.daemon_threads, server.block_on_close = True, False
    server.handle_error = lambda *_: None
    state.port = server.server_address[1]
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def pictures():
    with serving() as state:
        yield state


def reader_of(*hosts: str, timeout_s: float = 10.0) -> ContentReader:
    return ContentReader(AccessRules((), (), hosts), timeout_s)


@pytest.fixture
def names(monkeypatch):
    """Names that are looked up here: each with the addresses of its first, second ... look-up; others as usual."""
    table: dict[str, list[list[str]]] = {}
    asked: list[str] = []

    def look_up(host, port, *args, **kwargs):
        if host not in table:
            return REAL_LOOK_UP(host, port, *args, **kwargs)
        asked.append(host)
        answers = table[host]
        found = answers.pop(0) if len(answers) > 1 else answers[0]
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    table["asked"] = asked  # type: ignore[assignment]
    return table


class TestContents:
    def test_a_picture(self, pictures):
        reader = reader_of(pictures.allowed)
        assert reader.read(pictures.uri("/picture"), 7) == b"picture"
        assert reader.read(pictures.uri("/picture/a%20b?w=1#top"), 7) == b"picture"
        assert reader.read(pictures.uri("/picture/a b ü"), 7) == b"picture"
        assert pictures.asked == ["/picture", "/picture/a%20b?w=1", "/picture/a%20b%20%C3%BC"]
        assert pictures.hosts == [pictures.allowed] * 3
        assert len(pictures.peers) == 1  # one connection for all

    def test_many_threads(self, pictures):
        reader = reader_of(pictures.allowed)
        with ThreadPoolExecutor(16) as pool:
            found = list(pool.map(lambda _: reader.read(pictures.uri("/picture"), 7), range(300)))
        assert found == [b"picture"] * 300
        assert len(pictures.peers) <= 16

    def test_no_credentials_are_sent(self, pictures, monkeypatch, tmp_path):
        (tmp_path / ".netrc").write_text("machine 127.0.0.1 login user password topsecret\n")
        monkeypatch.setenv("HOME", str(tmp_path))
        reader_of(pictures.allowed).read(pictures.uri("/picture"), 7)
        assert set(pictures.heads[0]) <= {"Host", "Accept-Encoding", "User-Agent"}

    @pytest.mark.skipif(not HAS_IPV6, reason="this machine has no IPv6 loopback address")
    def test_an_address_of_version_6(self):
        with serving(host="::1") as state:
            host = f"[::1]:{state.port}"
            assert reader_of(host).read(f"http://{host}/picture", 7) == b"picture"
            assert state.hosts == [host]

    def test_too_large(self, pictures):
        reader = reader_of(pictures.allowed)
        start = time.monotonic()
        for path in ("/picture", "/large", "/endless", "/chunks"):
            with pytest.raises(StorageError, match=f"{path} is larger than the 6 bytes"):
                reader.read(pictures.uri(path), 6)
        assert time.monotonic() - start < 10

    def test_lies(self, pictures):
        reader = reader_of(pictures.allowed)
        with pytest.raises(StorageError, match="cut could not be read to its end"):
            reader.read(pictures.uri("/cut"), 1000)
        with pytest.raises(StorageError, match="is sent compressed"):
            reader.read(pictures.uri("/gzip"), 1000)
        assert reader.read(pictures.uri("/more"), 1000) == b"picture"
        assert reader.read(pictures.uri("/picture"), 1000) == b"picture"

    @pytest.mark.parametrize("path", ["/drip", "/drip_chunks", "/silence"])
    def test_too_slow(self, pictures, path):
        start = time.monotonic()
        with pytest.raises(StorageError, match=r"in time|timed out"):
            reader_of(pictures.allowed, timeout_s=0.4).read(pictures.uri(path), 1000)
        assert time.monotonic() - start < 10

    def test_errors_of_the_server(self, pictures):
        with pytest.raises(StorageError, match=r"none: the server answers 404 Not Found") as caught:
            reader_of(pictures.allowed).read(pictures.uri("/none?token=topsecret"), 7)
        assert "topsecret" not in str(caught.value)
        pictures.asked.clear()
        assert reader_of(pictures.allowed).read(pictures.uri("/busy"), 7) == b"picture"


class TestRedirects:
    def test_followed(self, pictures):
        reader = reader_of(pictures.allowed)
        assert reader.read(pictures.uri("/again/4"), 7) == b"picture"
        with pytest.raises(StorageError, match="redirects more than 5 times"):
            reader.read(pictures.uri("/again/5"), 7)

    @pytest.mark.parametrize(
        ("target", "message"),
        [
            ("http://localhost:PORT/picture", "localhost:.* is not allowed"),
            ("http://169.254.169.254/latest", "is not allowed"),
            ("//evil.example/picture", "evil.example is not allowed"),
            ("http://2130706433:PORT/picture", "is not allowed"),
            ("http://[::ffff:127.0.0.1]:PORT/picture", "is not allowed"),
            ("http://user:topsecret@127.0.0.1:PORT/picture", "user name or password"),
            ("http://127.0.0.1:PORT@evil.example/", "is not allowed|user name or password"),
            ("http://evil.example\\@127.0.0.1:PORT/", "is not allowed|user name or password"),
            ("file:///etc/passwd", "not of the form"),
            ("ftp://127.0.0.1/x", "not of the form"),
            ("gopher://127.0.0.1:PORT/x", "not of the form"),
            ("http://127.0.0.1:PORTX/", "not of the form"),
            ("http://[::1/", "without saying where to|not of the form"),
        ],
    )
    def test_refused(self, pictures, target, message):
        pictures.target = target.replace("PORT", str(pictures.port))
        with pytest.raises(StorageError, match=message) as caught:
            reader_of(pictures.allowed).read(pictures.uri("/to/"), 100)
        assert pictures.asked == ["/to/"]
        assert "topsecret" not in str(caught.value)

    def test_without_target(self, pictures):
        with pytest.raises(StorageError, match="without saying where to"):
            reader_of(pictures.allowed).read(pictures.uri("/lost"), 100)

    def test_to_an_allowed_name_with_a_private_address(self, pictures, names):
        names["images.test"] = [["127.0.0.1"]]
        name = f"images.test:{pictures.port}"
        uri = pictures.uri(f"/to/http://{name}/picture")
        with pytest.raises(ForbiddenError, match=r"images\.test:\d+ has the private or special address 127\.0\.0\.1"):
            reader_of(pictures.allowed, name).read(uri, 7)
        assert len(pictures.asked) == 1
        assert reader_of(pictures.allowed, f"{name}=private").read(uri, 7) == b"picture"
        assert pictures.hosts[-1] == name


class TestNames:
    @pytest.mark.parametrize("addresses", [["127.0.0.1"], ["8.8.8.8", "127.0.0.1"], ["0.0.0.0"], ["169.254.169.254"]])
    def test_private_addresses(self, pictures, names, addresses):
        names["images.test"] = [addresses]
        with pytest.raises(ForbiddenError, match="private or special address"):
            reader_of(f"images.test:{pictures.port}").read(pictures.uri("/picture", "images.test"), 7)
        assert pictures.asked == []

    def test_the_checked_address_is_the_one_connected_to(self, pictures, names, monkeypatch):
        """The name server answers with a public address first and then, with a lifetime of 0, with a private one."""
        names["images.test"] = [["8.8.8.8"], ["127.0.0.1"]]
        connected = []

        def connect(address, *_, **__):
            connected.append(address)
            raise OSError("no way")

        monkeypatch.setattr("urllib3.util.connection.create_connection", connect)
        reader = reader_of(f"images.test:{pictures.port}")
        for _ in range(3):
            with pytest.raises(UnreachableError):
                reader.read(pictures.uri("/picture", "images.test"), 7)
        assert {address for address, _ in connected} == {"8.8.8.8"}
        assert names["asked"] == ["images.test"]
        assert pictures.asked == []

    def test_the_next_address_is_tried(self, pictures, names):
        names["images.test"] = [["127.0.0.2", "127.0.0.1"]]  # nobody listens on the first
        reader = reader_of(f"images.test:{pictures.port}=private")
        assert reader.read(pictures.uri("/picture", "images.test"), 7) == b"picture"


class TestServersOutOfReach:
    def test_hosts_that_are_not_allowed_are_not_even_looked_up(self, monkeypatch):
        def never(*_, **__):
            raise AssertionError

        monkeypatch.setattr(socket, "getaddrinfo", never)
        reader, start = reader_of("example.com"), time.monotonic()
        for number in range(1000):
            with pytest.raises(ForbiddenError):
                reader.read(f"https://images-na.ssl-images-amazon.com/images/{number}.jpg", 7)
        assert time.monotonic() - start < 10

    def test_a_name_that_nobody_knows_is_looked_up_once(self, names):
        names["gone.test"] = [[]]
        reader = reader_of("gone.test")
        for number in range(100):
            with pytest.raises(UnreachableError, match="Name or service not known"):
                reader.read(f"https://gone.test/{number}", 7)
        assert names["asked"] == ["gone.test"]

    def test_a_server_that_is_gone_is_asked_once(self):
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            host = f"127.0.0.1:{unused.getsockname()[1]}"
            reader, start = reader_of(host), time.monotonic()
            with pytest.raises(UnreachableError, match=r"does not answer.*refused"):
                reader.read(f"http://{host}/a", 7)
            for _ in range(1000):
                with pytest.raises(UnreachableError, match=r"was not asked again.*refused"):
                    reader.read(f"http://{host}/b", 7)
        assert time.monotonic() - start < 10

    def test_a_server_that_never_answers_in_time(self, pictures):
        reader, start = reader_of(pictures.allowed, timeout_s=0.2), time.monotonic()
        for _ in range(100):
            with pytest.raises(StorageError):
                reader.read(pictures.uri("/silence"), 7)
        assert time.monotonic() - start < 10
        assert len(pictures.asked) <= 10

    def test_a_server_that_is_out_of_order(self, pictures):
        reader, start = reader_of(pictures.allowed), time.monotonic()
        for _ in range(5):
            with pytest.raises(UnreachableError, match="broken: the server answers 500"):
                reader.read(pictures.uri("/broken"), 7)
        for _ in range(1000):
            with pytest.raises(UnreachableError, match="was not asked again"):
                reader.read(pictures.uri("/broken"), 7)
        assert time.monotonic() - start < 10

    def test_a_server_that_answers_now_and_then_is_not_given_up(self, pictures):
        reader = reader_of(pictures.allowed)
        for _ in range(4):
            for _ in range(4):
                with pytest.raises(StorageError, match="could not be read to its end"):
                    reader.read(pictures.uri("/cut"), 1000)
            assert reader.read(pictures.uri("/picture"), 7) == b"picture"


def certificate_of(folder, *, name):
    """A certificate authority of one's own and a server's certificate for a name, as files."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "embedtune test")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    form = serialization.Encoding.PEM
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(form))
    private = key.private_bytes(form, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "key.pem").write_bytes(private)
    return folder / "certificate.pem", folder / "key.pem"


class TestCertificates:
    @pytest.fixture
    def secure(self, tmp_path, monkeypatch, names):
        certificate, key = certificate_of(tmp_path, name="images.test")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self.asked_for = []
        context.sni_callback = lambda _, name, __: self.asked_for.append(name)
        names["images.test"] = names["other.test"] = [["127.0.0.1"]]
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        with serving(context) as state:
            yield state

    def read(self, secure, host):
        reader = reader_of(f"{host}:{secure.port}=private")
        return reader.read(secure.uri("/picture", host, "https"), 7)

    def test_the_name_is_checked_though_the_connection_goes_to_an_address(self, secure):
        assert self.read(secure, "images.test") == b"picture"
        assert self.asked_for == ["images.test"]
        assert secure.hosts == [f"images.test:{secure.port}"]
        for host in ("other.test", "127.0.0.1"):
            with pytest.raises(UnreachableError, match=r"(?i)certificate"):
                self.read(secure, host)
        assert len(secure.asked) == 1

    def test_an_unknown_authority(self, secure, monkeypatch):
        monkeypatch.delenv("SSL_CERT_FILE")
        with pytest.raises(UnreachableError, match=r"(?i)certificate"):
            self.read(secure, "images.test")

    def test_no_way_back_to_http(self, secure, pictures):
        reader = reader_of(f"images.test:{secure.port}=private", pictures.allowed)
        with pytest.raises(ForbiddenError, match="from https to http"):
            reader.read(secure.uri(f"/to/{pictures.uri('/picture')}", "images.test", "https"), 7)
        assert pictures.asked == []

    def test_too_slow(self, secure):
        start, reader = time.monotonic(), reader_of(f"images.test:{secure.port}=private", timeout_s=1.0)
        with pytest.raises(StorageError, match="in time"):
            reader.read(secure.uri("/drip", "images.test", "https"), 1000)
        assert time.monotonic() - start < 10
