//! What all connections of a network share: settings, clock, agenda, observer, and the tasks to wake.

use crate::agenda::{Agenda, Entry, Key, What};
use crate::buffers::Memory;
use crate::config::Config;
use crate::observer::{Caller, ConnectionId, Event, Observer, Side};
use crate::packet::Packet;
use std::task::Waker;
use tokio::time::Instant;

pub(crate) struct Medium {
    pub(crate) config: Config,
    /// What is left for the buffers of all connections.
    pub(crate) memory: Memory,
    agenda: Agenda,
    observer: Box<dyn Observer>,
    /// The observer wants to be shown every packet.
    pub(crate) shows_packets: bool,
    /// The latest time that was seen.
    clock: Option<Instant>,
    /// Whether it was seen since time could last pass.
    clock_is_read: bool,
    /// Somebody says when time may have passed; otherwise it may have before every call of an application.
    clock_is_told: bool,
    /// What is due is just being done.
    pub(crate) delivers: bool,
    /// When the network task is going to run by itself.
    armed: Option<Instant>,
    /// The network task.
    task: Option<Waker>,
    /// To be woken once the network is no longer borrowed: a waker may run any code.
    pub(crate) woken: Vec<Waker>,
    /// To be dropped once the network is no longer borrowed, for the same reason.
    pub(crate) discarded: Vec<Waker>,
}

impl Medium {
    pub(crate) fn new(mut config: Config, observer: Box<dyn Observer>) -> Medium {
        config.mtu = config.mtu.max(1);
        config.send_buffer = config.send_buffer.map(|bytes| bytes.max(1));
        config.receive_buffer = config.receive_buffer.map(|bytes| bytes.max(1));
        Medium {
            config,
            memory: Memory::default(),
            agenda: Agenda::default(),
            shows_packets: observer.wants_packets(),
            observer,
            clock: None,
            clock_is_read: false,
            clock_is_told: false,
            delivers: false,
            armed: None,
            task: None,
            woken: Vec::new(),
            discarded: Vec::new(),
        }
    }

    /// The time on tokio's clock, which is read once for each call of an application, or as seldom as it is told to: it costs
    /// as much as all the rest of one. While a runtime is torn down that clock may be out of reach: then it is the time that was seen
    /// last, since an observer must not be told real time. Who tells when time passes also tells of that.
    #[inline]
    pub(crate) fn now(&mut self) -> Instant {
        match self.clock {
            Some(clock) if self.clock_is_read => clock,
            clock => self.read_clock(clock),
        }
    }

    fn read_clock(&mut self, before: Option<Instant>) -> Instant {
        if let Some(before) = before
            && !self.clock_is_told
            && tokio::runtime::Handle::try_current().is_err()
        {
            return before;
        }
        let now = Instant::now();
        let now = before.map_or(now, |before| before.max(now));
        self.clock = Some(now);
        self.clock_is_read = true;
        now
    }

    /// An application calls. Unless somebody would have said so, time may have passed.
    pub(crate) fn is_called(&mut self) {
        self.clock_is_read &= self.clock_is_told;
    }

    /// Time may have passed, and from now on it does not without this being called.
    pub(crate) fn time_may_have_passed(&mut self) {
        self.clock_is_read = false;
        self.clock_is_told = true;
    }

    /// No time passes any more, until it is said that it may have.
    pub(crate) fn stop_clock(&mut self) {
        self.clock_is_read = self.clock.is_some();
        self.clock_is_told = true;
    }

    pub(crate) fn tell(&mut self, id: ConnectionId, event: Event<'_>) {
        let now = self.now();
        self.observer.event(now, id, &event);
    }

    pub(crate) fn took(&mut self, id: ConnectionId, by: Side, bytes: usize) {
        self.observer.took(id, by, bytes);
    }

    pub(crate) fn put(&mut self, id: ConnectionId, by: Side, bytes: usize) {
        self.observer.put(id, by, bytes);
    }

    pub(crate) fn used(&mut self, id: ConnectionId, by: Side) {
        self.observer.used(id, by);
    }

    pub(crate) fn is_called_by_dead(&mut self) -> bool {
        self.observer.is_called_by_dead()
    }

    pub(crate) fn caller(&mut self) -> Caller {
        self.observer.caller()
    }

    /// Shows a packet to the observer.
    pub(crate) fn show(&mut self, id: ConnectionId, packet: &Packet<'_>) {
        self.observer.packet(id, packet);
    }

    /// A number that tells what was caused first.
    pub(crate) fn order(&mut self) -> u64 {
        self.agenda.order()
    }

    /// Puts something on the agenda, and sees to it that the network task runs by then, if it is not told of that time.
    pub(crate) fn schedule(&mut self, at: Instant, order: u64, key: Key, from: Side, what: What) {
        self.agenda.push(Entry {
            at,
            order,
            key,
            from,
            what,
        });
        let runs = match self.clock_is_told {
            true => !self.delivers && at <= self.now(),
            false => self.armed.is_none_or(|armed| at < armed),
        };
        if runs {
            self.wake_task();
        }
    }

    /// What was to happen at `at` is off: if the network task waits for just that, it has to look again. An
    /// idle network must not wake up for nothing, which the proof that nothing is armed relies on.
    pub(crate) fn cancelled(&mut self, at: Instant) {
        if !self.clock_is_told && self.armed == Some(at) {
            self.wake_task();
        }
    }

    fn wake_task(&mut self) {
        self.woken.extend(self.task.take());
    }

    pub(crate) fn first(&self) -> Option<&Entry> {
        self.agenda.first()
    }

    pub(crate) fn pop(&mut self) -> Option<Entry> {
        self.agenda.pop()
    }

    /// The network task goes to sleep, until `armed` or until it is woken.
    pub(crate) fn sleep(&mut self, armed: Option<Instant>, task: &Waker) {
        self.armed = armed;
        match &self.task {
            Some(old) if old.will_wake(task) => {}
            _ => self.discarded.extend(self.task.replace(task.clone())),
        }
    }

    /// Takes the memory of the two lists back, which are empty now.
    pub(crate) fn recycle(&mut self, woken: Vec<Waker>, discarded: Vec<Waker>) {
        if self.woken.capacity() == 0 {
            self.woken = woken;
        }
        if self.discarded.capacity() == 0 {
            self.discarded = discarded;
        }
    }
}
