//! The columns of a list and what lists call them.

/// What a cell is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Column {
    Account,
    SourceUser,
    SourcePassword,
    TargetUser,
    TargetPassword,
    /// The password on both sides, where a side has none of its own.
    Password,
    NewName,
    From,
    To,
    Wave,
    Priority,
}

/// All of them, each at the place of its number.
pub(crate) const COLUMNS: [Column; 11] = [
    Column::Account,
    Column::SourceUser,
    Column::SourcePassword,
    Column::TargetUser,
    Column::TargetPassword,
    Column::Password,
    Column::NewName,
    Column::From,
    Column::To,
    Column::Wave,
    Column::Priority,
];

impl Column {
    /// What it is called in the documentation.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Column::Account => "account",
            Column::SourceUser => "source_user",
            Column::SourcePassword => "source_password",
            Column::TargetUser => "target_user",
            Column::TargetPassword => "target_password",
            Column::Password => "password",
            Column::NewName => "new_name",
            Column::From => "from",
            Column::To => "to",
            Column::Wave => "wave",
            Column::Priority => "priority",
        }
    }

    /// The column that is meant: capitals, spaces, hyphens and underscores do not count.
    pub(crate) fn by_name(name: &str) -> Option<Self> {
        let plain: String =
            name.chars().filter(|c| !matches!(c, ' ' | '-' | '_')).flat_map(char::to_lowercase).take(20).collect();
        Some(match plain.as_str() {
            "account" => Column::Account,
            "sourceuser" | "user" | "username" | "login" | "name" | "email" | "user1" => Column::SourceUser,
            "sourcepassword" | "password1" => Column::SourcePassword,
            "targetuser" | "user2" => Column::TargetUser,
            "targetpassword" | "password2" => Column::TargetPassword,
            "password" => Column::Password,
            "newname" => Column::NewName,
            "from" | "host1" => Column::From,
            "to" | "host2" => Column::To,
            "wave" => Column::Wave,
            "priority" => Column::Priority,
            _ => return None,
        })
    }

    /// Whether a cell of it is not to be seen, and taken exactly as it is.
    pub(crate) fn is_secret(self) -> bool {
        matches!(self, Column::SourcePassword | Column::TargetPassword | Column::Password)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_is_found_by_its_own_name_and_stands_at_its_number() {
        for (index, column) in COLUMNS.into_iter().enumerate() {
            assert_eq!(column as usize, index);
            assert_eq!(Column::by_name(column.name()), Some(column));
        }
    }

    #[test]
    fn capitals_and_joints_do_not_count() {
        for name in ["Source User", "SOURCE-USER", "sourceUser", "user1", "Name"] {
            assert_eq!(Column::by_name(name), Some(Column::SourceUser), "{name}");
        }
        for name in ["", "sourceuserx", "pass word s", "alice@old.example"] {
            assert_eq!(Column::by_name(name), None, "{name}");
        }
    }
}
