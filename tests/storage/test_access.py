from pathlib import Path

import pytest

from embedtune.errors import StorageError
from embedtune.storage.access import AccessRules, ForbiddenError, check_address, check_host
from embedtune.storage.locations import parse_location


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in ("EMBEDTUNE_DATA_ROOT", "EMBEDTUNE_ALLOWED_BUCKETS", "EMBEDTUNE_ALLOWED_HOSTS"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def is_allowed(rules: AccessRules, uri: str) -> bool:
    try:
        rules.check(parse_location(uri))
    except ForbiddenError:
        return False
    return True


@pytest.fixture
def folders(tmp_path):
    """data/ with a CSV and pictures, and a secret beside it."""
    (tmp_path / "data" / "images").mkdir(parents=True)
    (tmp_path / "data" / "rows.csv").write_text("images/a.png,a\n")
    (tmp_path / "data" / "images" / "a.png").write_bytes(b"a")
    (tmp_path / "secret.png").write_bytes(b"secret")
    (tmp_path / "database").mkdir()
    (tmp_path / "database" / "b.png").write_bytes(b"b")
    return tmp_path


class TestFiles:
    def test_the_folder_of_the_csv(self, folders):
        rules = AccessRules.from_environment(str(folders / "data" / "rows.csv"))
        assert rules == AccessRules((folders / "data",), (), ())
        assert AccessRules.from_environment((folders / "data" / "rows.csv").as_uri()) == rules
        assert AccessRules.from_environment(str(folders / "data")) == rules
        assert is_allowed(rules, str(folders / "data" / "images" / "a.png"))
        assert is_allowed(rules, (folders / "data" / "images" / "a.png").as_uri())
        assert is_allowed(rules, str(folders / "data" / "images" / "none.png"))

    @pytest.mark.parametrize(
        "cell",
        [
            "../secret.png",
            "images/../../secret.png",
            "../database/b.png",
            "/etc/passwd",
            "file:///etc/passwd",
            "file:///proc/self/environ",
        ],
    )
    def test_what_is_outside(self, folders, cell):
        rules = AccessRules.from_environment(str(folders / "data" / "rows.csv"))
        uri = cell if cell.startswith(("/", "file:")) else f"{folders}/data/{cell}"
        with pytest.raises(ForbiddenError, match="set the variable EMBEDTUNE_DATA_ROOT"):
            rules.check(parse_location(uri))

    def test_encoded_dots_are_dots(self, folders):
        rules = AccessRules.from_environment(str(folders / "data" / "rows.csv"))
        assert not is_allowed(rules, f"file://{folders}/data/%2e%2e/secret.png")
        assert not is_allowed(rules, f"file://{folders}/data/..%2Fsecret.png")
        assert is_allowed(rules, f"{folders}/data/%2e%2e/secret.png")  # a folder of that name

    def test_links_are_followed_before_the_check(self, folders):
        rules = AccessRules.from_environment(str(folders / "data" / "rows.csv"))
        (folders / "data" / "out.png").symlink_to(folders / "secret.png")
        (folders / "data" / "up").symlink_to(folders)
        (folders / "data" / "in.png").symlink_to(folders / "data" / "images" / "a.png")
        assert not is_allowed(rules, f"{folders}/data/out.png")
        assert not is_allowed(rules, f"{folders}/data/up/secret.png")
        assert is_allowed(rules, f"{folders}/data/in.png")

    def test_a_root_may_be_a_link(self, folders):
        (folders / "link").symlink_to(folders / "data")
        rules = AccessRules.from_environment(f"{folders}/link/rows.csv")
        assert is_allowed(rules, f"{folders}/link/images/a.png")
        assert is_allowed(rules, f"{folders}/data/images/a.png")
        assert not is_allowed(rules, f"{folders}/secret.png")

    def test_a_given_root(self, folders, environment):
        environment.setenv("EMBEDTUNE_DATA_ROOT", str(folders / "database"))
        rules = AccessRules.from_environment(str(folders / "data" / "rows.csv"))
        assert is_allowed(rules, f"{folders}/database/b.png")
        assert is_allowed(rules, f"{folders}/data/images/a.png")
        assert not is_allowed(rules, f"{folders}/secret.png")

    def test_a_csv_at_the_top_of_the_disk_opens_nothing(self):
        assert AccessRules.from_environment("/rows.csv").roots == ()

    def test_a_relative_path(self, folders, environment):
        environment.chdir(folders / "data")
        rules = AccessRules.from_environment("rows.csv")
        assert is_allowed(rules, "images/a.png")
        assert not is_allowed(rules, "../secret.png")

    @pytest.mark.parametrize("origin", ["s3://data/a/rows.csv", "https://example.com/rows.csv"])
    def test_remote_data_opens_no_file(self, origin):
        rules = AccessRules.from_environment(origin)
        assert rules.roots == ()
        assert not is_allowed(rules, "rows.csv")


class TestObjects:
    def test_the_prefix_of_the_csv(self):
        rules = AccessRules.from_environment("minio://data/a/rows.csv")
        assert rules.buckets == ("minio://data/a",)
        assert AccessRules.from_environment("minio://data/a/") == rules
        allowed = [
            "minio://data/a/x.png",
            "minio://data/a/b/x.png",
            "minio://data/ab/x.png",
            "s3://data/a/x.png",
            "minio://dat/a",
        ]
        assert [is_allowed(rules, uri) for uri in allowed] == [True, True, False, False, False]

    @pytest.mark.parametrize("origin", ["s3://data/rows.csv", "s3://data/", "s3://data"])
    def test_a_csv_at_the_top_of_a_bucket_opens_nothing(self, environment, origin):
        rules = AccessRules.from_environment(origin)
        assert rules.buckets == ()
        with pytest.raises(ForbiddenError, match=r"Move the data below a prefix .* add data to the variable EMBED"):
            rules.check(parse_location("s3://data/b/x.png"))
        environment.setenv("EMBEDTUNE_ALLOWED_BUCKETS", "data")
        rules = AccessRules.from_environment(origin)
        assert is_allowed(rules, "s3://data/b/x.png")
        assert not is_allowed(rules, "s3://data2/x.png")

    def test_buckets_of_one_store(self, environment):
        environment.setenv("EMBEDTUNE_ALLOWED_BUCKETS", "s3://one, minio://two/images")
        rules = AccessRules.from_environment("data/rows.csv")
        addresses = ["s3://one/a", "minio://two/images/a", "minio://one/a", "s3://two/images/a", "minio://two/a"]
        assert [is_allowed(rules, uri) for uri in addresses] == [True, True, False, False, False]

    def test_allowed_buckets(self, environment):
        environment.setenv("EMBEDTUNE_ALLOWED_BUCKETS", " one, two/images/ ,")
        rules = AccessRules.from_environment("data/rows.csv")
        assert rules.buckets == ("one", "two/images/")
        addresses = ["s3://one/a", "minio://two/images/a", "s3://two/a", "s3://two/images", "s3://three/one/a"]
        assert [is_allowed(rules, uri) for uri in addresses] == [True, True, False, False, False]
        with pytest.raises(ForbiddenError, match="add three to the variable EMBEDTUNE_ALLOWED_BUCKETS"):
            rules.check(parse_location("s3://three/a"))

    def test_dots_cannot_lead_out_of_the_prefix(self):
        with pytest.raises(StorageError, match=r"'\.\.'"):
            parse_location("s3://data/a/../secret.png")

    def test_a_data_set_is_no_content(self):
        with pytest.raises(ForbiddenError, match="names a data set"):
            AccessRules((Path("/"),), (), ()).check(parse_location("dataset://user/name"))


class TestHosts:
    @pytest.mark.parametrize(
        ("uri", "hosts", "private"),
        [
            ("http://example.com/x", "example.com", False),
            ("https://example.com/x", "example.com", False),
            ("https://Example.COM:443/x", "EXAMPLE.com", False),
            ("https://example.com/x", "example.com:443", False),
            ("http://example.com:8080/x", "example.com:8080", False),
            ("http://images.internal/x", "images.internal=private", True),
            ("http://images.internal:9000/x", "a, images.internal:9000=private", True),
            ("http://localhost:9000/x", "localhost:9000", True),
            ("http://10.0.0.7/x", "10.0.0.7", True),
            ("http://[::1]:9000/x", "[::1]:9000", True),
        ],
    )
    def test_allowed(self, environment, uri, hosts, private):
        environment.setenv("EMBEDTUNE_ALLOWED_HOSTS", hosts)
        rules = AccessRules.from_environment("data/rows.csv")
        rules.check(parse_location(uri))
        assert check_host(uri, rules.hosts) is private

    @pytest.mark.parametrize(
        ("uri", "hosts"),
        [
            ("http://example.com/x", ""),
            ("http://example.com/x", "notexample.com,com,*"),
            ("http://example.com.evil.org/x", "example.com"),
            ("http://www.example.com/x", "example.com"),
            ("http://example.com:8080/x", "example.com"),
            ("http://example.com/x", "example.com:8080"),
            ("http://example.com:443/x", "example.com"),
            ("http://2130706433/x", "127.0.0.1,localhost"),
            ("http://0x7f.1/x", "127.0.0.1,localhost"),
            ("http://017700000001/x", "127.0.0.1,localhost"),
            ("http://[::ffff:127.0.0.1]/x", "127.0.0.1,localhost"),
            ("http://127.1/x", "127.0.0.1"),
            ("http://localhost./x", "localhost"),
            ("http://example.com%2eevil.org/x", "example.com"),
            ("http://[::1]/x", "::1"),
        ],
    )
    def test_refused(self, environment, uri, hosts):
        environment.setenv("EMBEDTUNE_ALLOWED_HOSTS", hosts)
        with pytest.raises(ForbiddenError, match=r"is not allowed\. Add "):
            AccessRules.from_environment("data/rows.csv").check(parse_location(uri))

    @pytest.mark.parametrize(
        "address",
        [
            "127.0.0.1",
            "127.8.8.8",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "239.255.255.250",
            "240.0.0.1",
            "255.255.255.255",
            "192.0.2.1",
            "192.0.0.192",
            "192.0.0.9",
            "192.88.99.1",
            "::ffff:192.0.0.192",
            "3fff::1",
            "3fff:fff:ffff::1",
            "198.18.0.1",
            "::",
            "::1",
            "::7f00:1",
            "fe80::1%eth0",
            "fc00::1",
            "fd00:ec2::254",
            "fec0::1",
            "ff02::1",
            "2001:db8::1",
            "::ffff:127.0.0.1",
            "::ffff:a9fe:a9fe",
            "64:ff9b::127.0.0.1",
            "64:ff9b::a9fe:a9fe",
            "2002:7f00:1::",
            "2002:a9fe:a9fe::1",
        ],
    )
    def test_special_addresses(self, address):
        with pytest.raises(ForbiddenError, match=r"write images\.org=private"):
            check_address("images.org", address)

    @pytest.mark.parametrize(
        "address", ["8.8.8.8", "192.0.1.1", "192.88.98.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"]
    )
    def test_public_addresses(self, address):
        check_address("images.org", address)
