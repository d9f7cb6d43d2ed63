//! What a simulated network does: how long octets take, in which pieces they arrive, and what goes wrong.

use mailhaul_types::Side;

/// Which way octets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// From the client.
    ToServer,
    /// From the server.
    ToClient,
}

/// How a connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// Both ends see an orderly end behind what was under way.
    Fin,
    /// Both ends see an error at once; what was under way, or had arrived and was not read, is gone.
    Rst,
    /// From here on everything is swallowed, both ways, and nobody is told.
    BlackHole,
    /// From here on everything is swallowed that goes this way, and nobody is told; the other way works.
    HalfOpen,
}

impl How {
    /// Every one.
    pub const ALL: [How; 4] = [How::Fin, How::Rst, How::BlackHole, How::HalfOpen];
}

/// A cut behind so many octets, counted over all connections of one pass to one server, in one way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Between the client and which server.
    pub side: Side,
    /// Of which octets.
    pub way: Way,
    /// Behind how many.
    pub at: u64,
    /// In what manner.
    pub how: How,
}

/// What a network does during one pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Weather {
    /// What rolls the sizes of pieces and their delays.
    pub seed: u64,
    /// Milliseconds from one end to the other: source, target.
    pub latency_millis: [u64; 2],
    /// The largest piece in which octets arrive; each has a size of its own. 0: they arrive as they were sent.
    pub pieces_max: usize,
    /// How long a server may take between receiving and answering, in milliseconds.
    pub thinks_millis_max: u64,
    /// How many octets a second each connection to the source brings from there; 0: as many as there are.
    pub source_octets_per_sec: u64,
    /// Connections are cut at these places, each once.
    pub cuts: Vec<Cut>,
    /// How often each server refuses to be connected to at first: source, target.
    pub refusals: [u32; 2],
}

/// Source is 0, target is 1.
pub(super) fn place(side: Side) -> usize {
    match side {
        Side::Source => 0,
        Side::Target => 1,
    }
}

pub(super) fn place_of(way: Way) -> usize {
    match way {
        Way::ToServer => 0,
        Way::ToClient => 1,
    }
}
