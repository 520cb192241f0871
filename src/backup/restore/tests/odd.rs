//! What a restore seldom meets: hostile numbers, a file that is exchanged, records that cannot be read, names that others
//! have by now.

use super::*;
use crate::context::{Clock, Timestamp};

#[tokio::test]
async fn numbers_that_no_store_reaches_neither_overflow_nor_keep_a_restore_busy_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new();
    let now = world.context.clock.now();
    world.org(org(&world), "acme", &[]).await;
    let restored = Restored { epoch: u64::MAX, at: now, backup_at: now };
    let noted = vec![Write::Put(whole::restored_at(), encode(&restored))];
    world.put(&whole::scope(), fill::STATE, noted).await;
    let backup = world.backup(&folder).await;
    assert_eq!(World::new().restore(&backup, false).await.unwrap().epoch, u64::MAX);

    let org = org(&world);
    world.org(org, "late", &[]).await;
    let entry = Event::new("org.create", "org", org, "late").entry(Revision(1 << 62), now, &Author::sequel());
    world.put(&Scope::org(org.as_str()).unwrap(), fill::STATE, vec![entry]).await;
    assert!(matches!(world.backup_in(&folder).await, Err(BackupError::Damaged(_))));
}

#[tokio::test]
async fn a_backup_that_is_exchanged_while_it_is_restored_is_noticed_before_anything_is_taken_from_it() {
    let folder = tempfile::tempdir().unwrap();
    let (first, mut second) = (World::new(), World::new());
    second.context.clock = Clock::starting_at(Timestamp(0));
    first.org(org(&first), "first", &[]).await;
    second.org(org(&second), "second", &[]).await;
    let backup = first.backup(&folder).await;
    // Another name for another file: nothing that this restore would meet.
    second.backup(&folder).await;
    let onto = World::new();
    onto.restore(&backup, false).await.unwrap();
    assert!(onto.get::<IndexRecord>(&orgs::scope(), &orgs::at("first")).await.is_some());
    // Written over in its place.
    let backup = first.backup(&folder).await;
    let other = tempfile::tempdir().unwrap();
    second.backup(&other).await;
    std::fs::write(folder.path().join("b"), std::fs::read(other.path().join("b")).unwrap()).unwrap();
    let onto = World::new();
    assert!(matches!(onto.restore(&backup, false).await, Err(BackupError::Damaged(_))));
    assert!(onto.get::<IndexRecord>(&orgs::scope(), &orgs::at("second")).await.is_none());
}

#[tokio::test]
async fn a_store_whose_deleted_organizations_cannot_be_read_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new();
    let [lives, deleted] = [(); 2].map(|()| org(&world));
    world.org(lives, "lives", &[]).await;
    let backup = world.backup(&folder).await;
    // One that the backup brings is mended by it.
    let scope = Scope::org(lives.as_str()).unwrap();
    world.put(&scope, fill::STATE, vec![Write::Put(record::org_at(), "no record".into())]).await;
    world.restore(&backup, true).await.unwrap();
    world.is_sound(&world.state().await);
    let scope = Scope::org(deleted.as_str()).unwrap();
    world.put(&scope, fill::STATE, vec![Write::Put(record::deleted_org_at(), "no record".into())]).await;
    let before = world.state().await;
    assert!(matches!(world.restore(&backup, true).await, Err(BackupError::Record { .. })));
    assert_eq!(world.state().await, before);
}

#[tokio::test]
async fn no_two_organizations_have_one_name_and_each_is_found_by_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new();
    let [first, second, put_back, deleted] = [(); 4].map(|()| org(&world));
    world.org(first, "one", &[]).await;
    world.org(second, "two", &[]).await;
    world.org(put_back, "old", &[]).await;
    world.delete_org(put_back, "old").await;
    let backup = world.backup(&folder).await;

    // Since then each of the names went to another one, which stays as it is.
    for (renamed, name) in [(first, "former one"), (second, "former two")] {
        let record = OrgRecord { name: name.into(), created_at: world.context.clock.now() };
        let scope = Scope::org(renamed.as_str()).unwrap();
        world.put(&scope, fill::STATE, vec![Write::Put(record::org_at(), encode(&record))]).await;
    }
    let back = OrgRecord { name: "one".into(), created_at: world.context.clock.now() };
    let writes = vec![Write::Delete(record::deleted_org_at()), Write::Put(record::org_at(), encode(&back))];
    world.put(&Scope::org(put_back.as_str()).unwrap(), fill::STATE, writes).await;
    world.put(&deletions::scope(), fill::STATE, vec![Write::Delete(deletions::at(put_back))]).await;
    world.org(deleted, "two", &[]).await;
    world.delete_org(deleted, "two").await;

    for _ in 0..2 {
        let done = world.restore(&backup, true).await.unwrap();
        assert_eq!((done.orgs, done.orgs_left, done.orgs_renamed), (2, 1, 2));
        world.is_sound(&world.state().await);
        let index =
            async |name: &str| world.get::<IndexRecord>(&orgs::scope(), &orgs::at(name)).await.map(|e| e.org);
        assert_eq!((index("one").await, index("two").await), (Some(put_back), Some(deleted)));
        assert_eq!(index(&format!("one ({first})")).await, Some(first));
        assert_eq!(index(&format!("two ({second})")).await, Some(second));
    }
}
