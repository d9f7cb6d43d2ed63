//! Secrets: kept where they belong, and gone when they are wiped.

use crate::queue::setup::*;
use mailhaul_db::queue::*;
use mailhaul_queue::*;

/// Random enough not to stand in a file by chance; the number makes each one different.
fn canary(number: usize) -> Vec<u8> {
    format!("canary-9d1f0c77e2b84a56-{number:06}-").repeat(1 + number % 7).into_bytes()
}

fn sealed(account: AccountId, number: usize) -> SealedSecret {
    let place = SecretPlace {
        owner: SecretOwner::Account(account),
        side: Some(if number.is_multiple_of(2) { Side::Source } else { Side::Target }),
        field: "password".to_owned(),
    };
    SealedSecret { place, key_id: "first".to_owned(), sealed: canary(number) }
}

/// How often a canary stands in the files of the state directory.
fn sightings(bench: &Bench) -> usize {
    let directory = bench.place.file.parent().expect("it has one");
    let files = std::fs::read_dir(directory).expect("readable").map(|entry| entry.expect("readable").path());
    let octets = files.filter(|path| path.is_file()).map(|path| std::fs::read(path).expect("readable"));
    octets.map(|octets| octets.windows(12).filter(|part| part == b"canary-9d1f0").count()).sum()
}

async fn many_secrets(bench: &Bench) -> Vec<SealedSecret> {
    let accounts = (0..500).map(|number| bench.account(&format!("user{number:03}"))).collect();
    let ids = bench.queue.import(accounts).await.expect("imported").ids;
    // In an order in which pages are divided and shifted.
    let mut secrets: Vec<_> = ids.iter().enumerate().map(|(number, id)| sealed(*id, number)).collect();
    secrets.sort_by_key(|secret| secret.sealed.len());
    for part in secrets.chunks(50) {
        bench.queue.put_secrets(part.to_vec()).await.expect("stored");
    }
    secrets
}

#[tokio::test]
async fn the_secrets_of_a_closed_wave_are_nowhere_in_the_file_or_its_log() {
    let bench = Bench::new().await;
    let secrets = many_secrets(&bench).await;
    assert!(sightings(&bench) >= 500);
    let read = bench.queue.secret(&secrets[7].place).await.expect("read");
    assert_eq!(read.as_ref(), Some(&secrets[7]));
    assert!(!format!("{read:?}").contains("canary"));
    let running = bench.bulk(&["user000"]).await[0];
    let key = bench.claim(1, 1).await[0].key;
    assert_eq!(bench.queue.close_wave(bench.wave).await.expect("closed"), 500);
    assert_eq!(sightings(&bench), 0);
    assert!(bench.queue.secrets().await.expect("listed").is_empty());
    let wave = bench.queue.find_wave("staff").await.expect("read").expect("there");
    assert_eq!(wave.closed_unix_ms, Some(START_MS));
    assert_eq!(bench.job(running).await.wanted, Some(Order::Cancel));
    bench.end(key, Outcome::Yielded(Yield::Cancel)).await;
    assert_eq!(bench.state(running).await, JobState::Cancelled);
}

#[tokio::test]
async fn a_new_key_replaces_every_secret_at_once_and_wipes_the_old_ones() {
    let bench = Bench::new().await;
    let secrets = many_secrets(&bench).await;
    let first = VaultRow { key_id: "first".to_owned(), check_value: vec![1; 40] };
    bench.queue.put_vault(first.clone()).await.expect("stored");
    assert_eq!(bench.queue.vault().await.expect("read"), Some(first));
    let anew = secrets.clone().into_iter().map(|secret| SealedSecret {
        key_id: "second".to_owned(),
        sealed: vec![7; secret.sealed.len()],
        ..secret
    });
    let second = VaultRow { key_id: "second".to_owned(), check_value: vec![2; 40] };
    bench.queue.replace_secrets(secrets, anew.collect(), second.clone()).await.expect("replaced");
    assert_eq!(sightings(&bench), 0);
    assert_eq!(bench.queue.vault().await.expect("read"), Some(second));
    let secrets = bench.queue.secrets().await.expect("listed");
    assert!(secrets.len() == 500 && secrets.iter().all(|secret| secret.key_id == "second"));
}

#[tokio::test]
async fn removing_an_account_or_replacing_its_password_wipes_the_old_one() {
    let bench = Bench::new().await;
    let id = bench.queue.import(vec![bench.account("alice")]).await.expect("imported").ids[0];
    bench.queue.put_secrets(vec![sealed(id, 1)]).await.expect("stored");
    bench.queue.put_secrets(vec![SealedSecret { sealed: vec![9; 24], ..sealed(id, 1) }]).await.expect("replaced");
    assert_eq!(sightings(&bench), 0);
    bench.queue.put_secrets(vec![sealed(id, 1)]).await.expect("stored");
    bench.queue.remove_account(id).await.expect("removed");
    assert_eq!(sightings(&bench), 0);
    let endpoint = SecretPlace { owner: SecretOwner::Endpoint(bench.new), side: None, field: "password".to_owned() };
    let secret = SealedSecret { place: endpoint, ..sealed(id, 3) };
    bench.queue.put_secrets(vec![secret.clone()]).await.expect("stored");
    assert_eq!(bench.queue.secrets().await.expect("listed"), [secret]);
    assert_eq!(bench.queue.delete_secrets(SecretOwner::Endpoint(bench.new)).await.expect("wiped"), 1);
    assert_eq!(sightings(&bench), 0);
}

#[tokio::test]
async fn a_password_that_comes_while_the_key_is_changed_is_neither_lost_nor_stored_unreadable() {
    let bench = Bench::new().await;
    let id = bench.queue.import(vec![bench.account("alice")]).await.expect("imported").ids[0];
    let (old, new) = (sealed(id, 1), SealedSecret { key_id: "second".to_owned(), ..sealed(id, 2) });
    let vault = |key_id: &str| VaultRow { key_id: key_id.to_owned(), check_value: vec![1; 40] };
    bench.queue.put_vault(vault(&old.key_id)).await.expect("stored");
    bench.queue.put_secrets(vec![old.clone()]).await.expect("stored");

    // Somebody stores a password after everything was read for the change of keys.
    let later = SealedSecret { sealed: vec![3; 24], ..old.clone() };
    bench.queue.put_secrets(vec![later.clone()]).await.expect("stored");
    let refused = bench.queue.replace_secrets(vec![old.clone()], vec![new.clone()], vault("second")).await;
    assert!(matches!(refused, Err(mailhaul_db::DbError::SecretsChanged(_))), "{refused:?}");
    assert_eq!(bench.queue.secrets().await.expect("listed"), std::slice::from_ref(&later));

    // Nor is the key changed under a process that works with it.
    let worker = bench.queue.register("run").await.expect("registered");
    let refused = bench.queue.replace_secrets(vec![later.clone()], vec![new.clone()], vault("second")).await;
    assert!(matches!(refused, Err(mailhaul_db::DbError::SecretsChanged(_))), "{refused:?}");
    worker.close().await.expect("closed");

    // And what is sealed under the key that has gone does not come in afterwards.
    bench.queue.replace_secrets(vec![later.clone()], vec![new.clone()], vault("second")).await.expect("replaced");
    let refused = bench.queue.put_secrets(vec![later]).await;
    assert!(matches!(refused, Err(mailhaul_db::DbError::SecretsChanged(_))), "{refused:?}");
    assert_eq!(bench.queue.secrets().await.expect("listed"), [new]);
}
