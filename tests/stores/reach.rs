//! How an authority reaches its PostgreSQL server, and whose records it takes there.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use sealagent::pki::seal_status::SealState::Cancelled;
use sealagent::pki::seal_status::status_list;
use sealagent::pki::{Certificate, Crl, SignedTrustList};
use sealauthority::{Publication, Region, RegionError, SerialNumber, StoreError};

use super::cluster::{self, Cluster, said};
use super::company::certificate;
use super::rig::{Kind, Rig, hours, now, sealauthority, seals};
use super::terminal::Terminal;

pub const CASES: &[(&str, fn())] = &[
    ("another_machine_with_a_copy_of_the_folder_says_the_same", another_machine),
    ("authority_whose_init_failed_leaves_the_database_empty", failed_init),
    ("database_holds_one_authority", database_holds_one_authority),
    ("database_that_cannot_hold_chinese_names_is_refused", wrong_encoding),
    ("password_comes_from_the_password_file_and_stands_nowhere_else", password_file),
    ("password_is_typed_in_the_terminal", typed_password),
    ("records_of_another_authority_are_refused", records_of_another_authority),
    ("refusal_of_the_server_lasts_no_longer_than_its_reason", refusal_lasts_no_longer),
    ("server_proves_its_name_by_its_certificate", server_proves_its_name),
];

/// Two machines are two folders with the same keys over one database.
fn another_machine() {
    let rig = Rig::new(Kind::Postgres);
    let mut here = rig.pilot(now());
    let there = rig.temp.path().join("there");
    said(Command::new("cp").arg("-r").args([rig.folder(), there.clone()]).output().unwrap());
    let mut there = Region::open(&there, None).unwrap();
    let code = seals(&mut here, 1).remove(0);
    let revoked = Certificate::parse(&certificate(&mut here, hours(1))).unwrap();
    here.revoke(&SerialNumber::new(revoked.serial()).unwrap(), None, hours(1)).unwrap();
    there.change_seal(&code, Cancelled, hours(1)).unwrap();
    for (region, out, at) in [(&mut here, "a", 2), (&mut there, "b", 3)] {
        let out = rig.temp.path().join(out);
        region.publish(&out, &Publication::default(), hours(at)).unwrap();
        let list = SignedTrustList::parse(&fs::read(out.join("trust-list.p7b")).unwrap()).unwrap();
        assert_eq!(list.list().sequence, at as u64 - 1);
        assert!(Crl::parse(&fs::read(out.join("ca.crl")).unwrap()).unwrap().find(revoked.serial()).is_some());
        assert_eq!(status_list(list.list(), &fs::read(out.join("status.p7b")).unwrap()).unwrap().len(), 1);
    }
}

fn failed_init() {
    let rig = Rig::new(Kind::Postgres);
    let too_long = "深".repeat(200);
    assert!(matches!(rig.init(&rig.folder(), &too_long, now()), Err(RegionError::Issue(_))));
    assert!(!rig.folder().exists());
    rig.pilot(now());
}

fn database_holds_one_authority() {
    let rig = Rig::new(Kind::Postgres);
    let first = rig.pilot(now()).root().der().to_vec();
    let second = rig.init(&rig.temp.path().join("second"), "北京", now());
    assert!(matches!(second, Err(RegionError::Store(StoreError::Exists))));
    assert_eq!(rig.opened().root().der(), first, "the first one is untouched");
}

fn records_of_another_authority() {
    let (rig, other) = (Rig::new(Kind::Postgres), Rig::new(Kind::Postgres));
    rig.pilot(now());
    other.pilot(now());
    fs::copy(other.folder().join("database.json"), rig.folder().join("database.json")).unwrap();
    assert!(matches!(Region::open(&rig.folder(), None), Err(RegionError::OtherRecords { .. })));
    // A database without records.
    let empty = cluster::shared(|cluster| cluster.address(&cluster.database()));
    fs::write(rig.folder().join("database.json"), format!("{{\"database\": \"{empty}\"}}")).unwrap();
    assert!(matches!(Region::open(&rig.folder(), None), Err(RegionError::Store(StoreError::Missing))));
}

fn wrong_encoding() {
    let address = cluster::shared(|cluster| {
        cluster.psql("postgres", "CREATE DATABASE ascii ENCODING 'SQL_ASCII' TEMPLATE template0");
        cluster.address("ascii")
    });
    let init = Rig::at(&address);
    let refused = init.init(&init.folder(), "深圳", now());
    assert!(matches!(refused, Err(RegionError::Store(StoreError::Unsuitable(_)))));
}

/// A user with a password, who may make a schema in a database.
fn user_with_password(cluster: &Cluster, name: &str, password: &str) -> String {
    let database = cluster.database();
    cluster.psql(
        "postgres",
        &format!("CREATE ROLE {name} LOGIN PASSWORD '{password}'; GRANT CREATE ON DATABASE {database} TO {name}"),
    );
    format!("postgres://{name}@127.0.0.1:{}/{database}", cluster.port())
}

fn init(folder: &Path, address: &str, password_file: &Path) -> Output {
    let mut command = sealauthority();
    command.arg("init").arg(folder).args(["--region", "shenzhen", "--name", "深圳", "--pilot", "--database", address]);
    // Without a terminal: whoever is asked there cannot answer.
    let mut detached = Command::new("setsid");
    detached.arg("--wait").arg(command.get_program()).args(command.get_args()).env("LC_ALL", "C.UTF-8");
    detached.env("PGPASSFILE", password_file).env("PGPASSWORD", "not read").stdin(Stdio::null()).output().unwrap()
}

fn password_file() {
    let temp = tempfile::tempdir().unwrap();
    let (folder, file) = (temp.path().join("r"), temp.path().join("pgpass"));
    let address = cluster::shared(|cluster| user_with_password(cluster, "clerk", "a-secret-word"));
    let refused = |what: &str| {
        let output = init(&folder, &address, &file);
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && text.contains(what) && text.contains("hint: "), "{what}: {text}");
        assert!(!folder.exists());
    };
    refused("asks for the password of clerk");
    fs::write(&file, "127.0.0.1:*:*:clerk:a-wrong-word\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    refused("password authentication failed");
    fs::write(&file, "127.0.0.1:*:*:clerk:a-secret-word\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    refused("Others may read");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    said(init(&folder, &address, &file));
    let mut with_secret = sealauthority();
    with_secret.arg("init").arg(temp.path().join("s")).args(["--region", "s", "--name", "s", "--pilot"]);
    let output = with_secret.args(["--database", "postgres://clerk:a-secret-word@127.0.0.1/x"]).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && text.contains("A password stands in") && !text.contains("a-secret-word"), "{text}");
    let files = ["database.json", "keys/root.key"].map(|name| fs::read_to_string(folder.join(name)).unwrap());
    assert!(files[0].contains("clerk") && files.iter().all(|text| !text.contains("a-secret-word")));
}

fn typed_password() {
    let temp = tempfile::tempdir().unwrap();
    let folder = temp.path().join("r");
    let address = cluster::shared(|cluster| user_with_password(cluster, "typist", "a-typed-word"));
    let mut command = sealauthority();
    command.arg("init").arg(&folder).args(["--region", "shenzhen", "--name", "sz", "--pilot", "--database", &address]);
    let words = std::iter::once(command.get_program()).chain(command.get_args()).map(|word| word.to_str().unwrap());
    let none = temp.path().join("none");
    let mut terminal = Terminal::start(words, |process| {
        process.env("PGPASSFILE", none);
    });
    terminal.answer("Password of database user typist", "a-typed-word");
    let (ended_well, text) = terminal.end();
    assert!(ended_well, "{text}");
    assert!(!text.contains("a-typed-word"), "{text}");
    assert!(!fs::read_to_string(folder.join("database.json")).unwrap().contains("a-typed-word"));
}

/// A root, and certificates below it for the server `localhost` and the user `clerk`, by OpenSSL. Gives root, server's certificate and key.
fn certificates(folder: &Path) -> [PathBuf; 3] {
    let openssl = |arguments: &[&str]| said(Command::new("openssl").current_dir(folder).args(arguments).output().unwrap());
    let ec = ["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    let root = ["-x509", "-days", "30", "-subj", "/CN=root", "-keyout", "root.key", "-out", "root.crt"];
    openssl(&[&ec[..], &root].concat());
    for (who, name) in [("server", "localhost"), ("client", "clerk")] {
        let file = |ending: &str| format!("{who}.{ending}");
        let subject = format!("/CN={name}");
        openssl(&[&ec[..], &["-subj", &subject, "-keyout", &file("key"), "-out", &file("csr")]].concat());
        fs::write(folder.join("names"), format!("subjectAltName=DNS:{name}")).unwrap();
        let sign =
            ["x509", "-req", "-CA", "root.crt", "-CAkey", "root.key", "-CAcreateserial", "-days", "30", "-extfile", "names"];
        openssl(&[&sign[..], &["-in", &file("csr"), "-out", &file("crt")]].concat());
    }
    ["root.crt", "server.crt", "server.key"].map(|name| folder.join(name))
}

/// A server that begins no transaction.
fn refusal_lasts_no_longer() {
    let address = cluster::shared(|cluster| user_with_password(cluster, "patient", "word"));
    let temp = tempfile::tempdir().unwrap();
    let file = temp.path().join("pgpass");
    fs::write(&file, "*:*:*:patient:word\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let rig = Rig::at(&format!("{address}?passfile={}", file.display()));
    let store = rig.store();
    let database = address.rsplit('/').next().unwrap();
    let tell = |statement: &str| cluster::shared(|cluster| cluster.psql(database, statement));
    tell("REVOKE EXECUTE ON FUNCTION pg_advisory_xact_lock(bigint) FROM PUBLIC");
    assert!(matches!(store.set_text("a", "b"), Err(StoreError::Postgres { .. })));
    assert_eq!(store.text("a").unwrap(), "");
    tell("GRANT EXECUTE ON FUNCTION pg_advisory_xact_lock(bigint) TO PUBLIC");
    store.set_text("a", "b").unwrap();
    assert_eq!(store.text("a").unwrap(), "b");
}

fn server_proves_its_name() {
    let server = Cluster::start(&[]);
    let (temp, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let ([root, certificate, key], [other_root, ..]) = (certificates(temp.path()), certificates(other.path()));
    for (from, to) in [(certificate, "server.crt"), (key, "server.key")] {
        let to = server.data().join(to);
        fs::copy(from, &to).unwrap();
        fs::set_permissions(&to, fs::Permissions::from_mode(0o600)).unwrap();
        said(Command::new("chown").arg("--reference").args([&server.data(), &to]).output().unwrap());
    }
    server.psql("postgres", "ALTER SYSTEM SET ssl = on");
    server.psql("postgres", "SELECT pg_reload_conf()");
    let plain = user_with_password(&server, "clerk", "word");
    let file = temp.path().join("pgpass");
    fs::write(&file, "*:*:*:clerk:word\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let address = |host: &str, root: &Path| {
        let place = plain.replace("127.0.0.1", host);
        format!("{place}?sslmode=verify-full&passfile={}&sslrootcert={}", file.display(), root.display())
    };
    for (why, wrong) in [("other root", address("localhost", &other_root)), ("other name", address("127.0.0.1", &root))] {
        let refused = Rig::at(&wrong);
        let error = refused.init(&refused.folder(), "深圳", now()).map(drop).unwrap_err();
        assert!(
            matches!(&error, RegionError::Store(StoreError::Unproven(text)) if text.contains("certificate")),
            "{why}: {error}"
        );
    }
    let rig = Rig::at(&address("localhost", &root));
    let _open = rig.pilot(now());
    let encrypted = "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = 'clerk'";
    assert_eq!(server.psql("postgres", encrypted), "t");

    // With a certificate of its own the user needs no password.
    let trusted = server.data().join("trusted.crt");
    fs::copy(&root, &trusted).unwrap();
    said(Command::new("chown").arg("--reference").args([&server.data(), &trusted]).output().unwrap());
    server.psql("postgres", "ALTER SYSTEM SET ssl_ca_file = 'trusted.crt'");
    let rules = fs::read_to_string(server.data().join("pg_hba.conf")).unwrap();
    fs::write(server.data().join("pg_hba.conf"), format!("hostssl all clerk all cert\n{rules}")).unwrap();
    server.psql("postgres", "SELECT pg_reload_conf()");
    let second = server.database();
    server.psql("postgres", &format!("GRANT CREATE ON DATABASE {second} TO clerk"));
    let client = |ending| temp.path().join(format!("client.{ending}"));
    fs::set_permissions(client("key"), fs::Permissions::from_mode(0o600)).unwrap();
    let place =
        format!("postgres://clerk@localhost:{}/{second}?sslmode=verify-full&sslrootcert={}", server.port(), root.display());
    let without = Rig::at(&place);
    assert!(without.init(&without.folder(), "深圳", now()).is_err());
    let with = Rig::at(&format!("{place}&sslcert={}&sslkey={}", client("crt").display(), client("key").display()));
    with.pilot(now());
}
