#!/bin/sh
# Makes the passwords that docker-compose.yml reads, once; those that are there are kept.
# Usage: sh deploy/make-secrets.sh [FOLDER]   (default: deploy/secrets)
set -eu
folder=${1:-$(dirname "$0")/secrets}
mkdir -p "$folder"
# The folder keeps others of this machine out; the files can be read by the containers' users.
chmod 700 "$folder"
umask 022

password() {
  [ -s "$folder/$1" ] || head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n' > "$folder/$1"
}

password redis_password
password postgres_password
printf 'redis://:%s@redis:6379/0' "$(cat "$folder/redis_password")" > "$folder/fimq_broker_url"
printf 'postgresql+psycopg://fimq:%s@postgres:5432/fimq' "$(cat "$folder/postgres_password")" \
  > "$folder/fimq_ledger_url"
echo "secrets are in $folder"
