//! The vault opens what it has sealed, where it was sealed for, and nothing else; and shows nothing of it.

use super::*;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const CANARY: &str = "canary-5f1c";

/// A directory, a key in it, and its vault.
struct Bench {
    _directory: TempDir,
    path: PathBuf,
    key: Key,
}

impl Bench {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("secrets").join("key");
        let key = Key::generate(&path).expect("a key");
        Self { _directory: directory, path, key }
    }

    fn vault(&self) -> Vault {
        Vault::new(&self.key)
    }

    fn source(&self) -> KeySource {
        KeySource::File(self.path.clone())
    }
}

fn canary() -> Secret {
    Secret::new(CANARY.as_bytes().to_vec())
}

fn alice() -> Place {
    Place::account_password(AccountId(1), Side::Source)
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("the mode is set");
}

fn load(path: &Path) -> Result<Key, KeyError> {
    Key::load(&KeySource::File(path.to_owned()))
}

#[test]
fn what_was_sealed_opens_and_never_looks_the_same_twice() {
    let vault = Bench::new().vault();
    for octets in [&b""[..], b"x", CANARY.as_bytes(), &[0; 59], &[0xFF; 60], &[7; SECRET_BYTES_MAX]] {
        let secret = Secret::new(octets.to_vec());
        let (once, again) =
            (vault.seal(&alice(), &secret).expect("sealed"), vault.seal(&alice(), &secret).expect("sealed"));
        assert_ne!(once, again);
        assert_eq!(vault.open(&alice(), &once).expect("opened").expose(), octets);
    }
    let too_long = Secret::new(vec![7; SECRET_BYTES_MAX + 1]);
    assert!(matches!(vault.seal(&alice(), &too_long), Err(VaultError::TooLong(_))));
}

#[test]
fn lengths_do_not_show() {
    let vault = Bench::new().vault();
    let sealed_bytes = |length| vault.seal(&alice(), &Secret::new(vec![b'x'; length])).expect("sealed").len();
    assert_eq!(sealed_bytes(0), sealed_bytes(60));
    assert_ne!(sealed_bytes(60), sealed_bytes(61));
}

#[test]
fn a_value_moved_to_any_other_place_is_refused() {
    let vault = Bench::new().vault();
    let sealed = vault.seal(&alice(), &canary()).expect("sealed");
    let others = [
        Place::account_password(AccountId(1), Side::Target),
        Place::account_password(AccountId(2), Side::Source),
        Place::endpoint_password(EndpointId(1)),
        Place::new("endpoint", 1, "source", "password"),
        Place::new("account", 1, "source", "token"),
        // The same letters, cut differently.
        Place::new("account", 1, "sourcepass", "word"),
        Place::new("account", 1, "", "sourcepassword"),
    ];
    for place in others {
        assert!(matches!(vault.open(&place, &sealed), Err(VaultError::Refused(_))), "{place}");
    }
}

#[test]
fn every_changed_or_missing_octet_is_noticed() {
    let vault = Bench::new().vault();
    let sealed = vault.seal(&alice(), &canary()).expect("sealed");
    for at in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[at] ^= 0x10;
        assert!(vault.open(&alice(), &changed).is_err(), "octet {at}");
        assert!(vault.open(&alice(), &sealed[..at]).is_err(), "cut at {at}");
    }
    assert!(vault.open(&alice(), &[&sealed[..], b"x"].concat()).is_err());
    assert!(matches!(vault.open(&alice(), CANARY.as_bytes()), Err(VaultError::Garbled(_))));
}

#[test]
fn a_wrong_key_is_one_clear_error() {
    let (bench, other) = (Bench::new(), Bench::new());
    let (vault, stranger) = (bench.vault(), other.vault());
    let (check_value, sealed) = (vault.check_value().expect("made"), vault.seal(&alice(), &canary()).expect("sealed"));
    vault.verify(&check_value).expect("the right key");
    Vault::unlock(&bench.source(), &check_value).expect("the right key");
    for error in [
        stranger.verify(&check_value).expect_err("another key"),
        stranger.open(&alice(), &sealed).expect_err("another key"),
        Vault::unlock(&other.source(), &check_value).expect_err("another key"),
    ] {
        let words = format!(
            "the key {} is not the one that the secrets are sealed under, which is {}",
            stranger.key_id(),
            vault.key_id()
        );
        assert_eq!(error.to_string(), words);
    }
    assert!(vault.verify(&sealed).is_err(), "a sealed password is no check value");
}

#[test]
fn a_change_of_keys_is_all_or_nothing() {
    let (old, new) = (Bench::new().vault(), Bench::new().vault());
    let bob = Place::account_password(AccountId(2), Side::Source);
    let sealed = vec![
        (alice(), old.seal(&alice(), &canary()).expect("sealed")),
        (bob.clone(), old.seal(&bob, &Secret::new(b"x".to_vec())).expect("sealed")),
    ];
    let again = reseal(&old, &new, &sealed).expect("both open");
    assert_eq!(new.open(&alice(), &again[0].1).expect("opened").expose(), CANARY.as_bytes());
    assert_eq!(new.open(&bob, &again[1].1).expect("opened").expose(), b"x");
    assert!(old.open(&bob, &again[1].1).is_err());

    let swapped = vec![sealed[0].clone(), (bob, sealed[0].1.clone())];
    assert!(matches!(reseal(&old, &new, &swapped), Err(VaultError::Refused(_))));
}

#[test]
fn a_change_of_keys_that_was_cut_short_is_finished_or_forgotten() {
    let bench = Bench::new();
    let old_check = bench.vault().check_value().expect("made");
    let successor = Vault::new(&Key::generate_successor(&bench.path).expect("a successor"));
    // Cut before the database knew: the old key still fits, and the next change begins anew.
    assert_eq!(Vault::unlock(&bench.source(), &old_check).expect("the old key").key_id(), bench.key.id());
    let later = Vault::new(&Key::generate_successor(&bench.path).expect("another successor"));
    assert_ne!(later.key_id(), successor.key_id());
    // Cut after it: the successor takes its place, now and from now on.
    let new_check = later.check_value().expect("made");
    for _ in 0..2 {
        assert_eq!(Vault::unlock(&bench.source(), &new_check).expect("the successor").key_id(), later.key_id());
    }
    assert_eq!(load(&bench.path).expect("in its place").id(), later.key_id());
    assert!(matches!(Vault::unlock(&bench.source(), &old_check), Err(VaultError::WrongKey { .. })));
}

#[test]
fn a_key_is_never_overwritten() {
    let bench = Bench::new();
    assert!(matches!(Key::generate(&bench.path), Err(KeyError::Exists(_))));
    assert_eq!(load(&bench.path).expect("still there").id(), bench.key.id());
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    let bench = Bench::new();
    for mode in [0o640, 0o604, 0o660, 0o610, 0o777] {
        set_mode(&bench.path, mode);
        let error = load(&bench.path).expect_err("others can read it");
        assert!(error.to_string().ends_with(&format!("has mode {mode:04o}: others can read it")), "{error}");
    }
    for mode in [0o600, 0o400] {
        set_mode(&bench.path, mode);
        assert_eq!(load(&bench.path).expect("guarded").id(), bench.key.id());
    }
}

#[test]
fn what_is_no_key_file_is_refused() {
    let bench = Bench::new();
    let directory = bench.path.parent().expect("a directory");
    assert!(matches!(load(&directory.join("none")), Err(KeyError::Missing(_))));
    assert!(matches!(load(directory), Err(KeyError::NotRegular(_))));
    assert!(matches!(load(Path::new("/dev/null")), Err(KeyError::NotRegular(_))));
    let good = fs::read_to_string(&bench.path).expect("its text");
    let prefix = good.split_once(':').expect("a prefix").0;
    let path = directory.join("other");
    for text in [
        String::new(),
        CANARY.to_owned(),
        format!("{prefix}:"),
        format!("{prefix}:{CANARY}"),
        format!("{prefix}:{}", STANDARD.encode([7; 31])),
        format!("{prefix}:{}", STANDARD.encode([7; 33])),
        good.replacen("-1:", "-2:", 1),
        good.repeat(2),
        format!("{good}{}", "x".repeat(4_096)),
    ] {
        fs::write(&path, &text).expect("written");
        set_mode(&path, 0o600);
        let error = load(&path).expect_err("it is no key").to_string();
        assert!(error.contains("does not hold a key") && !error.contains("canary"), "{error}");
    }
}

#[test]
fn a_pipe_in_the_place_of_a_key_does_not_hang() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("pipe");
    let mode = rustix::fs::Mode::from_bits_truncate(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).expect("a pipe");
    assert!(matches!(load(&path), Err(KeyError::NotRegular(_))));
}

#[test]
fn a_key_is_not_made_where_others_can_exchange_it() {
    let directory = tempfile::tempdir().expect("a directory");
    set_mode(directory.path(), 0o770);
    assert!(matches!(Key::generate(&directory.path().join("key")), Err(KeyError::OpenDirectory { .. })));
    assert!(!directory.path().join("key").exists());
}

#[test]
fn files_and_directories_are_guarded_under_every_umask() {
    const VARIABLE: &str = "MAILHAUL_TEST_KEY_PATH";
    const NAME: &str = "vault::tests::files_and_directories_are_guarded_under_every_umask";
    // The umask belongs to the whole process, so that each is tried in a process of its own.
    if let Some(path) = std::env::var_os(VARIABLE) {
        Key::generate(Path::new(&path)).expect("a key");
        return;
    }
    for umask in ["000", "022", "277"] {
        let directory = tempfile::tempdir().expect("a directory");
        // Under the strictest not even a directory can be entered that was just made.
        let path = directory.path().join(if umask == "277" { "key" } else { "deep/er/key" });
        let program = std::env::current_exe().expect("this program");
        let status = std::process::Command::new("/bin/sh")
            .args(["-c", &format!("umask {umask}; exec \"$0\" --exact {NAME} --quiet")])
            .arg(program)
            .env(VARIABLE, &path)
            .stdout(std::process::Stdio::null())
            .status()
            .expect("a shell");
        assert!(status.success(), "umask {umask}");
        let mode = |path: &Path| fs::metadata(path).expect("it is there").mode() & 0o7777;
        assert_eq!(mode(&path), 0o600, "umask {umask}");
        for made in path.ancestors().skip(1).take_while(|made| *made != directory.path()) {
            assert_eq!(mode(made), 0o700, "umask {umask}: {}", made.display());
        }
        load(&path).expect("it is guarded");
    }
}

#[test]
fn a_command_can_give_the_key() {
    let bench = Bench::new();
    let from = |command: String| Key::load(&KeySource::Command(command));
    assert_eq!(from(format!("cat '{}'", bench.path.display())).expect("a key").id(), bench.key.id());
    assert!(matches!(from("exit 3".into()), Err(KeyError::CommandEnd(_))));
    let error = from(format!("echo {CANARY}")).expect_err("it is no key").to_string();
    assert!(error.starts_with("what the key command printed does not hold a key") && !error.contains(CANARY));
}

#[test]
fn credentials_are_single_names() {
    for name in ["", "..", "../key", "a/b", ".hidden"] {
        let source = KeySource::Credential(name.to_owned());
        assert!(matches!(Key::load(&source), Err(KeyError::CredentialName(_))), "{name}");
    }
}

#[test]
fn nothing_shows_a_key_or_a_secret() {
    let bench = Bench::new();
    let vault = bench.vault();
    let sealed = vault.seal(&alice(), &canary()).expect("sealed");
    let garbled = vault.open(&alice(), CANARY.as_bytes()).expect_err("not sealed");
    let refused = vault.open(&Place::endpoint_password(EndpointId(1)), &sealed).expect_err("moved");
    let shown = format!("{:?} {vault:?} {garbled} {garbled:?} {refused} {refused:?}", bench.key);
    let key_text = fs::read_to_string(&bench.path).expect("its text");
    let key_text = key_text.trim().split_once(':').expect("a prefix").1.to_owned();
    assert!(!shown.contains(CANARY) && !shown.contains(&key_text), "{shown}");
    assert!(!shown.contains(&key::hexadecimal(&bench.key.octets()[..8])), "{shown}");
    assert!(!sealed.windows(CANARY.len()).any(|window| window == CANARY.as_bytes()));
    assert_eq!(
        refused.to_string(),
        "password of endpoint 1: the sealed value was changed, or it belongs to another place"
    );
}
