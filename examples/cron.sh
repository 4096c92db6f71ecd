#!/bin/sh
# Runs a backup and records its start and its end in the audit trail. In a crontab:
#
#   AUDITX_LOG_DIR=/var/log/erp
#   30 2 * * *  cron.sh pg_dump --file=/backup/erp.sql erp
#
# The backup runs even if its entries cannot be recorded; the exit status is then 1, and cron mails what
# `auditx` says on standard error.

if [ $# -eq 0 ]; then
    echo "usage: cron.sh COMMAND [ARGUMENT]..." >&2
    exit 2
fi

# Only the name of the command is recorded: its arguments may contain a password.
command=$1
record() {
    auditx record "$@" --action EXPORT --user "${LOGNAME:-cron}" --meta command="$command" --durable
}

recorded=0
started=$(record "Backup started") || recorded=1
# The id of the first entry, before its seq, connects the two.
request=${started%% *}

"$@"
status=$?

if [ "$status" -eq 0 ]; then
    record "Backup finished" --request "$request" >/dev/null || recorded=1
    exit "$recorded"
fi
record "Backup failed" --request "$request" --level ERROR --failed \
    --meta-json exit_status="$status" >/dev/null
exit "$status"
