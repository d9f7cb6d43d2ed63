//! The workers on real servers, asked through the service itself.

use mailhaul_db::queue::{NewAccount, NewEndpoint, NewWave, SealedSecret, SecretOwner, SecretPlace, VaultRow};
use mailhaul_queue::{EngineOptions, JobState, Limits, Priority, Scope, WaitReason};
use mailhaul_service::{JobKind, Key, KeySource, Payload, Place, Service, Vault, WorkEnd, WorkOptions, new_job};
use mailhaul_testing::many::{ManyAccounts, TwoServers};
use mailhaul_types::{Secret, Side};
use std::path::Path;

async fn service(directory: &Path) -> Service {
    let key = directory.join("key");
    Key::generate(&key).expect("a new key");
    let service = Service::open(&directory.join("state.db"), KeySource::File(key.clone()), "test").await;
    let service = service.expect("opens");
    let vault = Vault::new(&Key::load(&KeySource::File(key)).expect("just made"));
    let row = VaultRow { key_id: vault.key_id(), check_value: vault.check_value().expect("random numbers") };
    service.queue().put_vault(row).await.expect("stored");
    service
}

/// Stores both servers, one wave, and every account with its passwords.
async fn import(service: &Service, bench: &TwoServers) {
    let queue = service.queue();
    let endpoint = async |name: &str, host: &str, port: u16| {
        let new = NewEndpoint {
            name: name.to_owned(),
            url: format!("imap://{host}:{port}?tls=none"),
            host: host.to_owned(),
            limits: Limits { connections: Some(6), ..Limits::default() },
            options: String::new(),
        };
        queue.put_endpoint(new).await.expect("stored")
    };
    let source = endpoint("old", "127.0.0.1", bench.source.address().port()).await;
    let target = endpoint("new", "localhost", bench.target.address().port()).await;
    let wave = queue.put_wave(NewWave { name: "first".to_owned(), ..NewWave::default() }).await.expect("stored");
    let accounts = bench.accounts.iter().map(|account| NewAccount {
        name: account.name.clone(),
        wave,
        source,
        target,
        source_user: account.source_user.clone(),
        target_user: account.target_user.clone(),
        source_owner: account.source_user.clone(),
        target_owner: account.target_user.clone(),
        priority: Priority::USUAL,
        options: String::new(),
        size_hint_bytes: None,
    });
    let imported = queue.import(accounts.collect()).await.expect("stored");
    let vault = service.vault().await.expect("unlocks");
    let mut secrets = Vec::new();
    for (account, id) in bench.accounts.iter().zip(&imported.ids) {
        for (side, password) in [(Side::Source, &account.source_password), (Side::Target, &account.target_password)] {
            let secret = Secret::new(password.clone().into_bytes());
            let sealed = vault.seal(&Place::account_password(*id, side), &secret).expect("seals");
            let queue_side =
                if side == Side::Source { mailhaul_queue::Side::Source } else { mailhaul_queue::Side::Target };
            let owner = SecretOwner::Account(*id);
            let place = SecretPlace { owner, side: Some(queue_side), field: "password".to_owned() };
            secrets.push(SealedSecret { place, key_id: vault.key_id(), sealed });
        }
    }
    queue.put_secrets(secrets).await.expect("stored");
    let jobs = imported.ids.iter().map(|id| new_job(*id, JobKind::Bulk, &Payload::default(), None));
    assert_eq!(queue.enqueue(jobs.collect()).await.expect("queued"), bench.accounts.len() as u64);
}

fn until_settled() -> WorkOptions {
    WorkOptions {
        what: "run",
        slots: 8,
        scope: Scope::default(),
        until_settled: true,
        lengths: EngineOptions::default(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn works_through_a_wave_and_parks_only_the_account_whose_password_is_wrong() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let bench = ManyAccounts::new(12).mails(10).start();
    bench.source.change_user(&bench.accounts[4].source_user, |user| user.password("changed yesterday"));
    let service = service(directory.path()).await;
    import(&service, &bench).await;

    let work = service.start_work(until_settled()).await.expect("starts");
    assert_eq!(work.finished().await.expect("nothing broke"), WorkEnd::Settled);

    let jobs = service.queue().jobs(Default::default()).await.expect("listed");
    for job in &jobs {
        let expected = if job.account_name == bench.accounts[4].name {
            JobState::Waiting { reason: WaitReason::Credentials, until_unix_ms: None }
        } else {
            JobState::Done
        };
        assert_eq!(job.state, expected, "{}: {}", job.account_name, job.words);
        assert_eq!(job.attempts, 1, "{}: nobody hammers", job.account_name);
    }
    bench.judge().assert_equal_except(&[&bench.accounts[4].name]);

    let queued = async || service.prepare_run("first", None).await.expect("prepared").queued;
    assert_eq!(queued().await, 0, "what is done is done");
    let wave = service.queue().find_wave("first").await.expect("read").expect("there").id;
    service.queue().set_wave_options(wave, r#"{"max_size":1000000}"#).await.expect("stored");
    assert_eq!(queued().await, 11, "and is looked at again under other options");
    assert_eq!(queued().await, 0);
    service.close().await.expect("closes");
}
