//! What an operator can do, and the workers that do it.
