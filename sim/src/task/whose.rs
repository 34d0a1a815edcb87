//! Whose a task is, as it turns out: what accepts, polls streams, makes connections and lets go of them tells.

use super::{KnownBy, Moved, Role, Task, Tasks};
use std::time::Duration;
use tokio::task::Id;

impl Tasks {
    /// `task` has accepted `connection`.
    pub(crate) fn accepted(&mut self, task: Id, connection: u32) {
        if let Some(&place) = self.index.get(&task) {
            self.list[place as usize].accepted = Some(connection);
            self.accepts(place);
        }
    }

    fn accepts(&mut self, place: u32) {
        let task = &mut self.list[place as usize];
        if !std::mem::replace(&mut task.accepts, true) {
            self.acceptors.push(place);
        }
    }

    /// `task` polls the stream of `connection`, which was opened at `opened`, and did not do so before, or not as the last
    /// one. If it was spawned since, it was for this connection, by whatever way that has come to it.
    pub(crate) fn used(
        &mut self,
        task: Id,
        connection: u32,
        opened: Option<Duration>,
    ) -> Option<Moved> {
        let place = *self.index.get(&task)?;
        let of_server = self.list[place as usize].role == Role::Server;
        if of_server {
            self.users.insert(connection, task);
        }
        let known = &mut self.list[place as usize];
        if !of_server || known.root || known.accepts || known.shared {
            return None;
        }
        known.background = false;
        let from = known.connection;
        let known_by = std::mem::replace(&mut known.known_by, KnownBy::Stream);
        if known_by == KnownBy::Accept {
            self.loose.retain(|&loose| loose != place);
        }
        let to = match (from, known_by) {
            (Some(from), _) if from == connection => return None,
            (None, _) => {
                let known = &mut self.list[place as usize];
                let first = known.first.is_none();
                known.first.get_or_insert(connection);
                if !first || opened.is_none_or(|opened| known.born < opened) {
                    self.loose.push(place);
                }
                Some(connection)
            }
            // It polls the streams of more than one.
            (Some(_), KnownBy::Stream) => {
                self.list[place as usize].shared = true;
                None
            }
            _ => Some(connection),
        };
        Some(self.moves(place, to, known_by == KnownBy::Accept))
    }

    /// `task` has called connect for `connection`, which is the server's own.
    pub(crate) fn connected(&mut self, task: Id, connection: u32) {
        self.connected.insert(connection, task);
    }

    /// `task` polls a stream of `connection`, which the server has made itself; `took` if it has got bytes. A task that
    /// drives such a connection works for nobody's request alone. One that has made the connection itself and still
    /// waits for the first answer may do that for the request whose task has spawned it.
    pub(crate) fn used_own(&mut self, task: Id, connection: u32, took: bool) -> Option<Moved> {
        let place = *self.index.get(&task)?;
        let known = &self.list[place as usize];
        let exempt = known.role != Role::Server || known.root || known.accepts || known.shared;
        let waits = self.connected.get(&connection) == Some(&task) && !took;
        let of_client = known.known_by == KnownBy::Stream;
        if exempt || waits || of_client || known.connection == Some(connection) {
            return None;
        }
        self.loose.retain(|&loose| loose != place);
        self.drivers.push(place);
        Some(self.moves(place, Some(connection), false))
    }

    /// The server lets go of a connection that it has made: tasks that went on with it are no connection's.
    pub(crate) fn closed_own(&mut self, connection: u32) -> Vec<Moved> {
        let list = &self.list;
        let of_it = |&place: &u32| list[place as usize].connection == Some(connection);
        let leaving: Vec<u32> = self.drivers.iter().copied().filter(of_it).collect();
        self.drivers.retain(|place| !of_it(place));
        let alive = |&place: &u32| self.list[place as usize].ended.is_none();
        let leaving: Vec<u32> = leaving.into_iter().filter(alive).collect();
        let leaving = leaving.into_iter();
        leaving
            .map(|place| self.moves(place, None, false))
            .collect()
    }

    /// The server lets go of the stream of `connection`: tasks that were only taken for its own leave it, if others have
    /// polled the stream.
    pub(crate) fn closed(&mut self, connection: u32) -> Vec<Moved> {
        for &place in &self.acceptors {
            let acceptor = &mut self.list[place as usize];
            if acceptor.accepted == Some(connection) && acceptor.ended.is_none() {
                acceptor.accepted = None;
            }
        }
        if self.loose.is_empty() || !self.users.contains_key(&connection) {
            return Vec::new();
        }
        let list = &self.list;
        let of_it = |&place: &u32| list[place as usize].connection == Some(connection);
        let leaving: Vec<u32> = self.loose.iter().copied().filter(of_it).collect();
        self.loose.retain(|place| !of_it(place));
        let leaving = leaving.into_iter();
        leaving.map(|place| self.moves(place, None, true)).collect()
    }

    /// The task at `place` belongs to the connection `to`, and `with_heirs` so do those that it, or they, have spawned.
    fn moves(&mut self, place: u32, to: Option<u32>, with_heirs: bool) -> Moved {
        self.by_connection.take();
        let first = &mut self.list[place as usize];
        let from = std::mem::replace(&mut first.connection, to);
        let mut family = vec![first.id];
        let mut tasks = u32::from(first.ended.is_none());
        let later = self.list.iter_mut().skip(place as usize + 1);
        for task in later.filter(|_| with_heirs) {
            let heir = task.parent.is_some_and(|parent| family.contains(&parent))
                && task.connection == from
                && task.known_by == KnownBy::Parent;
            if heir {
                family.push(task.id);
                task.connection = to;
                tasks += u32::from(task.ended.is_none());
            }
        }
        Moved { tasks, from, to }
    }

    /// The task of the server that has polled the stream of `connection` last, if it is alive.
    pub fn user_of(&self, connection: u32) -> Option<&Task> {
        self.users.get(&connection).and_then(|&user| self.get(user))
    }

    /// `task` calls accept: it is no connection's. Gives the connection that it was taken for.
    pub(crate) fn accepting(&mut self, task: Id) -> Option<u32> {
        let place = *self.index.get(&task)?;
        self.by_connection.take();
        self.accepts(place);
        self.list[place as usize].connection.take()
    }

    /// The server's tasks that are alive now are its roots.
    pub(crate) fn take_root(&mut self) {
        let alive = self
            .list
            .iter_mut()
            .filter(|task| task.role == Role::Server && task.ended.is_none());
        alive.for_each(|task| task.root = true);
    }

    /// What is alive now belongs to no connection; gives those that it was taken for.
    pub(crate) fn settle(&mut self) -> Vec<u32> {
        self.by_connection.take();
        let alive = self
            .list
            .iter_mut()
            .filter(|task| task.role == Role::Server && task.ended.is_none());
        alive.filter_map(|task| task.connection.take()).collect()
    }

    /// What is alive now of the connections that `whose` names was there before the first client; gives its connections.
    pub(crate) fn settle_those(&mut self, whose: impl Fn(u32) -> bool) -> Vec<u32> {
        self.by_connection.take();
        let alive = self.list.iter_mut().filter(|task| {
            let whose = task.connection.or(task.first).is_some_and(&whose);
            task.role == Role::Server && task.ended.is_none() && whose
        });
        let settled = alive.filter_map(|task| {
            task.root = true;
            task.connection.take()
        });
        settled.collect()
    }
}
