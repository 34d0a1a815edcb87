//! What a sealed thread sees, and that no other thread sees anything of it.

#![cfg(all(target_os = "linux", target_env = "gnu", target_pointer_width = "64"))]

use hangup_seal::{EPOCH, available, is_sealed, sealed, set_time};
use std::collections::HashMap;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

/// The order in which a hash map gives its keys.
fn order() -> Vec<u32> {
    let map: HashMap<u32, ()> = (0..1000).map(|key| (key, ())).collect();
    map.into_keys().collect()
}

#[test]
fn it_is_available_here() {
    assert_eq!(available(), Ok(()));
}

#[test]
fn hash_order_follows_from_the_seed() {
    let orders = || (order(), order());
    let one = sealed(1, orders).unwrap();
    assert_eq!(one, sealed(1, orders).unwrap());
    assert_ne!(one, sealed(2, orders).unwrap());
    // std gives every map of a thread another seed.
    assert_ne!(one.0, one.1);
    assert_ne!(order(), order());
}

#[test]
fn clocks_stand_until_they_are_moved() {
    sealed(1, || {
        let (start, today) = (Instant::now(), SystemTime::now());
        // Long enough that a running clock would show it.
        order();
        assert_eq!(start.elapsed(), Duration::ZERO);
        assert_eq!(today, SystemTime::UNIX_EPOCH + EPOCH);
        let years = Duration::new(2 * 365 * 86_400, 123_456_789);
        set_time(years);
        assert_eq!(start.elapsed(), years);
        assert_eq!(SystemTime::now(), today + years);
        assert!(start.checked_sub(Duration::from_secs(3600)).is_some());
    })
    .unwrap();
}

#[test]
fn other_threads_see_nothing_of_it() {
    let both = Barrier::new(2);
    let before = Instant::now();
    thread::scope(|scope| {
        scope.spawn(|| {
            sealed(1, || {
                both.wait();
                // A thread that a sealed one starts is not sealed itself.
                let inner = thread::spawn(|| (is_sealed(), Instant::now())).join();
                let (inside, later) = inner.expect("it does not panic");
                assert!(!inside && later >= before);
                both.wait();
            })
        });
        both.wait();
        assert!(!is_sealed());
        set_time(Duration::from_secs(1 << 40));
        assert!(before.elapsed() < Duration::from_secs(3600));
        assert_ne!(order(), order());
        both.wait();
    });
}

#[test]
fn a_panic_goes_on_and_leaves_no_seal_behind() {
    let panic = thread::spawn(|| sealed(1, || panic!("as it is told to"))).join();
    let says = panic.expect_err("it panicked");
    assert_eq!(says.downcast_ref(), Some(&"as it is told to"));
    assert_eq!(available(), Ok(()));
}

#[test]
fn threads_without_a_seal_have_the_systems_randomness() {
    let orders: Vec<_> = (0..8)
        .map(|_| thread::spawn(order).join().expect("it does not panic"))
        .collect();
    for (index, one) in orders.iter().enumerate() {
        assert!(!orders[..index].contains(one));
    }
}
