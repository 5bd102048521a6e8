# Installs n8n in queue mode with PostgreSQL and Redis by hand, on a server that setup.sh prepared. Wants DOMAIN, ADDRESS,
# ZONE, CLOUDFLARE_URL, CLOUDFLARE_TOKEN and the secrets POSTGRES_PASSWORD, REDIS_PASSWORD, DATABASE_PASSWORD,
# QUEUE_PASSWORD, ENCRYPTION_KEY, OWNER_PASSWORD.
set -euo pipefail

# Names
authorization="header = \"Authorization: Bearer $CLOUDFLARE_TOKEN\""
zone=$(curl --silent --show-error --fail --config - "$CLOUDFLARE_URL/zones?name=$ZONE" <<<"$authorization" |
  sed 's/.*"result": *\[{"id": *"\([^"]*\)".*/\1/')
for name in n8n n8n-webhook; do
  curl --silent --show-error --fail --config - --output /dev/null "$CLOUDFLARE_URL/zones/$zone/dns_records" <<END
$authorization
header = "Content-Type: application/json"
data = "{\"type\": \"A\", \"name\": \"$name.$DOMAIN\", \"content\": \"$ADDRESS\"}"
END
done

# Secrets
secret() { printf %s "$2" | docker secret create "$1" - >/dev/null; }
secret postgres_password "$POSTGRES_PASSWORD"
secret redis_password "$REDIS_PASSWORD"
secret n8n_database_password "$DATABASE_PASSWORD"
secret n8n_queue_password "$QUEUE_PASSWORD"
secret n8n_encryption_key "$ENCRYPTION_KEY"

cat >/root/postgres.yml <<'END'
version: "3.8"
networks: {internal: {external: true}}
volumes: {data: {}}
secrets: {postgres_password: {external: true}}
services:
  postgres:
    image: pgvector/pgvector:0.8.1-pg17
    command: [postgres, -c, max_connections=200]
    environment: {POSTGRES_PASSWORD_FILE: /run/secrets/postgres_password, PGDATA: /var/lib/postgresql/data/pgdata}
    secrets: [postgres_password]
    networks: [internal]
    volumes: ["data:/var/lib/postgresql/data"]
    healthcheck: {test: [CMD, pg_isready, -U, postgres, -h, 127.0.0.1], interval: 5s, timeout: 5s, retries: 12, start_period: 30s}
    deploy: {replicas: 1, endpoint_mode: dnsrr, resources: {limits: {memory: 1024M, cpus: "2"}}}
END
cat >/root/redis.yml <<'END'
version: "3.8"
networks: {internal: {external: true}}
volumes: {data: {}}
secrets: {redis_password: {external: true}}
services:
  redis:
    image: redis:8.0.4
    entrypoint:
      - sh
      - -euc
      - |
        hash=$$(sha256sum < /run/secrets/redis_password | cut -d' ' -f1)
        touch /data/users.acl
        { grep -v '^user default ' /data/users.acl || true; echo "user default on #$$hash ~* &* +@all"; } > /data/users.new
        mv /data/users.new /data/users.acl
        exec docker-entrypoint.sh redis-server --aclfile /data/users.acl --appendonly yes --maxmemory 384mb
    secrets: [redis_password]
    networks: [internal]
    volumes: ["data:/data"]
    healthcheck: {test: [CMD-SHELL, "redis-cli ping | grep -qE 'PONG|NOAUTH'"], interval: 5s, timeout: 5s, retries: 12, start_period: 10s}
    deploy: {replicas: 1, endpoint_mode: dnsrr, resources: {limits: {memory: 512M, cpus: "1"}}}
END
for stack in postgres redis; do docker stack deploy --compose-file /root/$stack.yml $stack >/dev/null 2>&1; done
healthy() {
  until [ -z "$(docker service ls --format '{{.Name}} {{.Replicas}}' | grep -E "^($1)_" | grep -v ' 1/1$')" ]; do sleep 0.5; done
}
healthy 'postgres|redis'

# A database, a role, a user
container() { docker ps --quiet --filter "label=com.docker.swarm.service.name=$1"; }
docker exec --interactive "$(container postgres_postgres)" psql -q -U postgres <<END
CREATE ROLE n8n LOGIN PASSWORD '$DATABASE_PASSWORD' NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION;
CREATE DATABASE n8n OWNER n8n;
REVOKE CONNECT, TEMPORARY ON DATABASE n8n FROM PUBLIC;
END
docker exec --interactive "$(container redis_redis)" redis-cli >/dev/null <<END
AUTH default $REDIS_PASSWORD
ACL SETUSER n8n reset on >$QUEUE_PASSWORD ~* &* +@all -@admin -@dangerous +info +client|setname +client|getname +client|setinfo +client|id
ACL SAVE
END

# n8n
service() { # name, command, host or nothing
  cat <<END
  $1:
    image: n8nio/n8n:1.123.81
    command: $2
    environment:
      DB_TYPE: postgresdb
      DB_POSTGRESDB_HOST: postgres_postgres
      DB_POSTGRESDB_DATABASE: n8n
      DB_POSTGRESDB_USER: n8n
      DB_POSTGRESDB_PASSWORD_FILE: /run/secrets/n8n_database_password
      EXECUTIONS_MODE: queue
      QUEUE_BULL_REDIS_HOST: redis_redis
      QUEUE_BULL_REDIS_USERNAME: n8n
      QUEUE_BULL_REDIS_PASSWORD_FILE: /run/secrets/n8n_queue_password
      QUEUE_HEALTH_CHECK_ACTIVE: "true"
      N8N_ENCRYPTION_KEY_FILE: /run/secrets/n8n_encryption_key
      N8N_HOST: n8n.$DOMAIN
      N8N_PROTOCOL: https
      N8N_EDITOR_BASE_URL: https://n8n.$DOMAIN/
      WEBHOOK_URL: https://n8n-webhook.$DOMAIN/
      N8N_PROXY_HOPS: "1"
      N8N_DIAGNOSTICS_ENABLED: "false"
      N8N_VERSION_NOTIFICATIONS_ENABLED: "false"
      N8N_RUNNERS_ENABLED: "true"
      OFFLOAD_MANUAL_EXECUTIONS_TO_WORKERS: "true"
    secrets: [n8n_database_password, n8n_queue_password, n8n_encryption_key]
    networks: [public, internal]
    healthcheck: {test: [CMD-SHELL, "wget -q -O /dev/null http://127.0.0.1:5678/healthz/readiness"], interval: 5s, timeout: 5s, retries: 12, start_period: 2m}
    deploy:
      replicas: 1
      endpoint_mode: dnsrr
      resources: {limits: {memory: 1024M, cpus: "1"}}
END
  [ -z "$3" ] || cat <<END
      labels:
        traefik.enable: "true"
        traefik.http.routers.$3.rule: Host(\`$3.$DOMAIN\`)
        traefik.http.routers.$3.entrypoints: websecure
        traefik.http.services.$3.loadbalancer.server.port: "5678"
END
}
{
  cat <<'END'
version: "3.8"
networks: {public: {external: true}, internal: {external: true}}
secrets: {n8n_database_password: {external: true}, n8n_queue_password: {external: true}, n8n_encryption_key: {external: true}}
services:
END
  service editor '[start]' n8n
  service webhook '[webhook]' n8n-webhook
  service worker '[worker, --concurrency=10]' ''
} >/root/n8n.yml
docker stack deploy --compose-file /root/n8n.yml n8n >/dev/null 2>&1
healthy n8n

# From outside, and the owner's account
ask() { curl --silent --fail --cacert /root/acme-root.pem --resolve "$1.$DOMAIN:443:$ADDRESS" --output /dev/null --config - "https://$1.$DOMAIN$2"; }
for name in n8n n8n-webhook; do until ask "$name" /healthz/readiness </dev/null; do sleep 0.5; done; done
owner=$(cat <<END
header = "Content-Type: application/json"
data = "{\"email\": \"admin@$DOMAIN\", \"firstName\": \"Admin\", \"lastName\": \"Owner\", \"password\": \"$OWNER_PASSWORD\"}"
END
)
# It answers 404 for a moment after it calls itself ready.
until ask n8n /rest/owner/setup <<<"$owner"; do sleep 0.5; done
