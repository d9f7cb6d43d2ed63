#!/bin/bash
# The demonstration in containers: fill the old account, copy it, kill the copier, resume, run again, verify, judge.
set -euo pipefail

folder=${DEMO_FOLDER:-/demo}
old=127.0.0.1:1143 new=127.0.0.1:2143
cd "$folder"
umask 077
echo old-secret >old.password
echo new-secret >new.password
ends=(--from imaps://alice@localhost:1993 --from-password-file old.password
    --to imaps://alice@localhost:2993 --to-password-file new.password --ca-file "${CA_FILE:-/certificates/ca.pem}")

say() { printf '\n%s\n' "$*"; }

say "1. Filling the old account: nested and Unicode names, odd mails, one of 30 MiB"
demo_fill "$old" alice old-secret

say "2. mailhaul copy, killed with -9 after a second"
code=0
timeout --foreground --signal=KILL 1 mailhaul copy "${ends[@]}" --copy-deleted-flag --state mailhaul.db || code=$?
[ "$code" = 137 ] || say "It ended by itself with $code: this machine is fast."

say "3. The same command again: it resumes"
mailhaul copy "${ends[@]}" --copy-deleted-flag --state mailhaul.db

say "4. And again: nothing to do"
mailhaul copy "${ends[@]}" --copy-deleted-flag --state mailhaul.db | tail -n 1

say "5. mailhaul verify, every octet"
mailhaul verify "${ends[@]}" --level bytes | tail -n 1

say "6. The judge, who shares no code with mailhaul"
judge "imap://alice:old-secret@$old" "imap://alice:new-secret@$new" \
    --map "Gesendete Objekte=Sent" --map "Entwürfe=Drafts" --map "Case=Case-2" --map $'caf\u00e9=caf\u00e9-2' | tail -n 1
say "All as promised."
