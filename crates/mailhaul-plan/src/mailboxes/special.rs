//! Names under which programs and providers keep sent, deleted, drafted, unwanted and archived mail.
//!
//! The table is consulted only where a server does not announce the special use itself.

use super::names::fold;
use mailhaul_types::SpecialUse;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// The special uses for which a mailbox may change its name. `\All` and `\Flagged` are views, not places.
pub(super) const MAPPED_USES: [SpecialUse; 5] =
    [SpecialUse::Archive, SpecialUse::Drafts, SpecialUse::Junk, SpecialUse::Sent, SpecialUse::Trash];

/// The special use that a single part of a name speaks of.
pub(super) fn use_of_name(part: &str) -> Option<SpecialUse> {
    BY_NAME.get(&fold(part)).copied()
}

static BY_NAME: LazyLock<BTreeMap<String, SpecialUse>> = LazyLock::new(|| {
    let rows = NAMES.iter().flat_map(|(used_for, names)| names.split('|').map(|name| (fold(name), *used_for)));
    rows.collect()
});

/// One line for each language: English with the names of programs and providers first, then cs, da, de, el, es, et,
/// fi, fr, hr, hu, it, ja, lt, lv, nb, nl, pl, pt, ro, ru, sk, sl, sv, tr, uk, zh.
const NAMES: [(SpecialUse, &str); 5] = [
    (
        SpecialUse::Sent,
        "Sent|Sent Items|Sent Messages|Sent Mail|Sent-Mail|sent_mail|SentMail|SentItems\
        |Odeslaná pošta|Odeslané|Odeslaná|Odeslané zprávy\
        |Sendt|Sendt post|Sendte elementer|Sendte beskeder\
        |Gesendet|Gesendete|Gesendete Objekte|Gesendete Elemente|Gesendete Nachrichten|Gesendete E-Mails|Gesendete Mails\
        |Απεσταλμένα|Απεσταλμένα μηνύματα\
        |Enviados|Elementos enviados|Mensajes enviados|Correo enviado\
        |Saadetud|Saadetud kirjad\
        |Lähetetyt|Lähetetyt viestit\
        |Envoyés|Éléments envoyés|Messages envoyés|Courrier envoyé|Objets envoyés\
        |Poslano|Poslane poruke|Poslane stavke\
        |Elküldött|Elküldött elemek|Elküldött üzenetek|Elküldött levelek\
        |Inviata|Inviati|Posta inviata|Messaggi inviati|Elementi inviati\
        |送信済み|送信済みメール|送信済みアイテム|送信済みトレイ\
        |Išsiųsti|Išsiųsti laiškai|Nosūtītie|Nosūtītās vienības\
        |Sendte|Sendte e-poster|Sendte meldinger\
        |Verzonden|Verzonden items|Verzonden berichten|Verzonden e-mail\
        |Wysłane|Elementy wysłane|Wysłane wiadomości\
        |Itens enviados|Mensagens enviadas|Enviadas|E-mails enviados|Correio enviado\
        |Trimise|Elemente trimise|Mesaje trimise\
        |Отправленные|Отправленные письма|Отправлено\
        |Odoslané|Odoslaná pošta|Odoslané položky\
        |Poslana pošta|Poslani elementi\
        |Skickat|Skickade|Skickade objekt|Skickade meddelanden\
        |Gönderilmiş|Gönderilmiş Öğeler|Gönderilmiş Postalar|Gönderilenler\
        |Надіслані|Відправлені\
        |已发送|已发送邮件|已傳送|寄件備份|已寄出的郵件",
    ),
    (
        SpecialUse::Drafts,
        "Drafts|Draft|Draft Messages|Unsent\
        |Koncepty|Rozepsané\
        |Kladder|Udkast\
        |Entwürfe|Entwurf\
        |Πρόχειρα\
        |Borradores|Borrador\
        |Mustandid\
        |Luonnokset\
        |Brouillons|Brouillon\
        |Skice|Nedovršeno\
        |Piszkozatok|Vázlatok\
        |Bozze\
        |下書き\
        |Juodraščiai|Melnraksti\
        |Utkast\
        |Concepten|Klad\
        |Wersje robocze|Kopie robocze|Szkice\
        |Rascunhos|Rascunho\
        |Ciorne|Schițe\
        |Черновики\
        |Rozpísané\
        |Osnutki\
        |Taslaklar\
        |Чернетки\
        |草稿|草稿箱|草稿匣",
    ),
    (
        SpecialUse::Trash,
        "Trash|Deleted|Deleted Items|Deleted Messages|Deleted Mail|Bin|Rubbish|Wastebasket\
        |Koš|Odstraněná pošta|Odstraněné\
        |Papirkurv|Slettet post|Slettede elementer|Slettede beskeder\
        |Papierkorb|Gelöscht|Gelöschte Objekte|Gelöschte Elemente|Gelöschte Nachrichten\
        |Κάδος απορριμμάτων|Διαγραμμένα\
        |Papelera|Elementos eliminados|Mensajes eliminados|Eliminados\
        |Prügikast|Kustutatud\
        |Roskakori|Poistetut\
        |Corbeille|Éléments supprimés|Messages supprimés\
        |Otpad|Smeće|Izbrisane stavke\
        |Kuka|Lomtár|Törölt elemek|Törölt\
        |Cestino|Posta eliminata|Elementi eliminati|Messaggi eliminati\
        |ゴミ箱|ごみ箱|削除済みアイテム\
        |Šiukšlės|Šiukšlinė|Miskaste\
        |Papirkurven|Søppelbøtte\
        |Prullenbak|Prullenmand|Verwijderde items|Verwijderd\
        |Kosz|Elementy usunięte\
        |Lixo|Lixeira|Itens excluídos|Itens eliminados|Mensagens excluídas\
        |Coș de gunoi|Elemente șterse|Coş\
        |Корзина|Удаленные|Удалённые\
        |Kôš|Odstránené\
        |Smeti|Izbrisano\
        |Papperskorg|Papperskorgen|Borttaget|Borttagna objekt\
        |Çöp|Çöp Kutusu|Silinmiş Öğeler\
        |Кошик|Видалені\
        |已删除|已删除邮件|垃圾桶|回收站|刪除的郵件",
    ),
    (
        SpecialUse::Junk,
        "Junk|Spam|Junk E-mail|Junk Email|Junk Mail|Bulk|Bulk Mail|SpamVerdacht|Unwanted\
        |Nevyžádaná pošta|Nevyžádané\
        |Uønsket|Uønsket post|Uønsket mail\
        |Unerwünscht|Junk-E-Mail|Spamverdacht\
        |Ανεπιθύμητα|Ανεπιθύμητη αλληλογραφία\
        |Correo no deseado|Correo basura|No deseado\
        |Rämpspost\
        |Roskaposti\
        |Indésirables|Courrier indésirable|Pourriel\
        |Neželjena pošta\
        |Levélszemét\
        |Posta indesiderata|Indesiderata\
        |迷惑メール\
        |Brukalas|Nepageidaujamas paštas|Mēstules\
        |Søppelpost\
        |Ongewenste e-mail|Ongewenst|Ongewenste reclame\
        |Wiadomości-śmieci|Niechciane\
        |Lixo eletrônico|Lixo Eletrónico|Correio não solicitado\
        |Nedorite|Mesaje nedorite\
        |Спам|Нежелательная почта\
        |Nevyžiadaná pošta|Nevyžiadané\
        |Vsiljena pošta|Neželena pošta\
        |Skräppost\
        |İstenmeyen|Önemsiz|Önemsiz E-posta\
        |Небажана пошта\
        |垃圾邮件|垃圾郵件",
    ),
    (
        SpecialUse::Archive,
        "Archive|Archives|Archived\
        |Archiv\
        |Arkiv\
        |Αρχειοθήκη\
        |Archivo|Archivados\
        |Arhiiv\
        |Arkisto\
        |Archivées\
        |Arhiva\
        |Archívum\
        |Archivio|Archiviati\
        |アーカイブ\
        |Archyvas|Arhīvs\
        |Archief\
        |Archiwum\
        |Arquivo|Arquivo morto|Arquivados\
        |Arhivă\
        |Архив\
        |Archív\
        |Arhiv\
        |Arşiv\
        |Архів\
        |存档|归档|封存",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_in_many_languages_and_any_case() {
        let cases = [
            ("Gesendete Objekte", SpecialUse::Sent),
            ("SENT ITEMS", SpecialUse::Sent),
            ("éléments envoyés", SpecialUse::Sent),
            ("E\u{301}le\u{301}ments envoye\u{301}s", SpecialUse::Sent),
            ("Enviados", SpecialUse::Sent),
            ("Posta inviata", SpecialUse::Sent),
            ("Verzonden items", SpecialUse::Sent),
            ("Wysłane", SpecialUse::Sent),
            ("Skickat", SpecialUse::Sent),
            ("Sendt post", SpecialUse::Sent),
            ("entwürfe", SpecialUse::Drafts),
            ("Borradores", SpecialUse::Drafts),
            ("Черновики", SpecialUse::Drafts),
            ("Papierkorb", SpecialUse::Trash),
            ("Corbeille", SpecialUse::Trash),
            ("Lixeira", SpecialUse::Trash),
            ("Spam", SpecialUse::Junk),
            ("Skräppost", SpecialUse::Junk),
            ("Archiv", SpecialUse::Archive),
            ("アーカイブ", SpecialUse::Archive),
        ];
        for (name, expected) in cases {
            assert_eq!(use_of_name(name), Some(expected), "{name}");
        }
    }

    #[test]
    fn ordinary_names_have_no_use() {
        for name in ["", "INBOX", "Sent to Bob", "Projects", "Outbox", "Postausgang", "Notes", "sent/2019"] {
            assert_eq!(use_of_name(name), None, "{name}");
        }
    }

    #[test]
    fn no_name_stands_for_two_uses() {
        let mut seen: BTreeMap<String, SpecialUse> = BTreeMap::new();
        for (used_for, names) in NAMES {
            for name in names.split('|') {
                assert_eq!(name, name.trim(), "{name:?}");
                let earlier = seen.insert(fold(name), used_for);
                assert!(earlier.is_none_or(|earlier| earlier == used_for), "{name} means two things");
            }
        }
    }
}
