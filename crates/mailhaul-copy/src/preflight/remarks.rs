//! What of the mapping is worth knowing before.

use super::Look;
use crate::words;
use mailhaul_plan::mailboxes::{LeftOutReason, Mapping, MappingRemark};
use mailhaul_report::{RemarkKind, count_of};
use mailhaul_types::Escaped;
use std::collections::{BTreeMap, BTreeSet};

impl Look<'_> {
    pub(super) fn remark_on_mapping(&mut self, mapping: &Mapping) {
        for mapped in &mapping.mailboxes {
            for remark in &mapped.remarks {
                let kind = kind_of(remark);
                let text = match kind {
                    RemarkKind::View => remark.to_string(),
                    _ => format!("goes to `{}`: {remark}", Escaped(&mapped.target_text)),
                };
                self.remark(kind, None, Some(&mapped.source), text);
            }
        }
        if let Some(text) = words::parents(mapping) {
            self.remark(RemarkKind::LeftOut, None, None, text);
        }
        for left_out in &mapping.left_out {
            let kind = match left_out.reason {
                LeftOutReason::NotSelectable => continue,
                LeftOutReason::SameText => RemarkKind::MailboxFailed,
                _ => RemarkKind::LeftOut,
            };
            self.remark(kind, None, Some(&left_out.source), words::left_out(&left_out.reason));
        }
    }

    /// Mailboxes that earlier runs copied and that the source does not list any more.
    pub(super) fn remark_on_vanished(&mut self, stored: &BTreeMap<String, String>, mapping: &Mapping) {
        let mapped = mapping.mailboxes.iter().map(|mapped| mapped.source.text());
        let left_out = mapping.left_out.iter().map(|left_out| left_out.source.text());
        let here: BTreeSet<&str> = mapped.chain(left_out).collect();
        let gone: Vec<&String> = stored.keys().filter(|source| !here.contains(source.as_str())).collect();
        if let Some(first) = gone.first() {
            let text = format!(
                "{} that earlier runs copied, `{}` among them, the source does not list any more; what was copied stays",
                count_of(gone.len() as u64, "mailbox"),
                Escaped(first)
            );
            self.remark(RemarkKind::Exceptions, None, None, text);
        }
    }
}

fn kind_of(remark: &MappingRemark) -> RemarkKind {
    match remark {
        MappingRemark::CharactersReplaced
        | MappingRemark::Flattened
        | MappingRemark::KeptApart { .. }
        | MappingRemark::OtherSpelling => RemarkKind::NameChanged,
        MappingRemark::Virtual(_) => RemarkKind::View,
        MappingRemark::SpecialUse { .. }
        | MappingRemark::AmbiguousUse(_)
        | MappingRemark::KeptFromEarlier { .. }
        | MappingRemark::OtherNamespace => RemarkKind::Mapped,
    }
}
