//! Lists of accounts in every form that operators have them in.
