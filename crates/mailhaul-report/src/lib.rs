//! Pure: what a run did, as numbers that must add up, as text and as JSON.
