# Sets a fresh Debian 13 VPS up by hand, on the server. Wants NAME, DOMAIN, ADDRESS, GATEWAY, REGISTRY, ACME_URL,
# ACME_CA and ACME_ROOT (certificates), CLOUDFLARE_URL, CLOUDFLARE_TOKEN, ZONE, PORTAINER_PASSWORD.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive

# System
apt-get -qq update
apt-get -qq -y upgrade >/dev/null
hostnamectl set-hostname "$NAME"
timedatectl set-timezone UTC
cat >/etc/apt/apt.conf.d/52bench <<'END'
APT::Periodic::Update-Package-Lists "1";
APT::Periodic::Unattended-Upgrade "1";
Unattended-Upgrade::Package-Blacklist { "^docker"; "^containerd"; "^runc$"; };
END
printf 'net.ipv4.tcp_keepalive_time = 600\nvm.overcommit_memory = 1\n' >/etc/sysctl.d/90-bench.conf
mkdir -p /etc/docker
cat >/etc/docker/daemon.json <<END
{"log-driver": "json-file", "log-opts": {"max-size": "10m", "max-file": "3"}, "live-restore": false,
 "default-address-pools": [{"base": "172.20.0.0/14", "size": 24}],
 "registry-mirrors": ["http://$REGISTRY"], "insecure-registries": ["$REGISTRY"]}
END
apt-get -qq -y install --no-install-recommends ca-certificates curl nftables unattended-upgrades docker.io docker-cli >/dev/null
apt-mark hold docker.io docker-cli >/dev/null
sysctl --ignore --load /etc/sysctl.d/90-bench.conf >/dev/null || true

# Firewall
interface=$(ip -4 route show default | sed 's/.* dev \([^ ]*\).*/\1/')
cat >/etc/bench-firewall.nft <<END
table inet bench
delete table inet bench
table inet bench {
  chain input {
    type filter hook input priority -10; policy drop;
    ct state established,related accept
    ct state invalid drop
    iifname "lo" accept
    meta l4proto { icmp, ipv6-icmp } accept
    tcp dport { 22, 80, 443 } accept
  }
  chain forward {
    type filter hook forward priority -10; policy accept;
    ct state established,related accept
    iifname "$interface" ct status dnat ct original proto-dst != { 80, 443 } drop
  }
}
END
cat >/etc/systemd/system/bench-firewall.service <<'END'
[Unit]
Before=network-pre.target docker.service
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/nft --file /etc/bench-firewall.nft
[Install]
WantedBy=multi-user.target
END
systemctl daemon-reload
systemctl enable --quiet --now bench-firewall.service

# SSH
cat >/etc/ssh/sshd_config.d/00-bench.conf <<'END'
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
X11Forwarding no
MaxAuthTries 4
LoginGraceTime 30
END
sshd -t
systemctl reload ssh.service

# Swarm
systemctl enable --quiet --now docker.service
docker swarm init --advertise-addr "$ADDRESS" --default-addr-pool 10.200.0.0/16 --default-addr-pool-mask-length 24 >/dev/null
for network in public internal; do
  docker network create --driver overlay --attachable --opt com.docker.network.driver.mtu=1400 "$network" >/dev/null
done

# Traefik
printf %s "$CLOUDFLARE_TOKEN" | docker secret create dns_token - >/dev/null
printf %s "$ACME_CA" | docker config create acme_ca - >/dev/null
cat >/root/traefik.yml <<END
version: "3.8"
networks: {public: {external: true}}
volumes: {data: {}}
secrets: {dns_token: {external: true}}
configs: {acme_ca: {external: true}}
services:
  traefik:
    image: traefik:v3.7.15
    command:
      - --providers.swarm.endpoint=unix:///var/run/docker.sock
      - --providers.swarm.exposedbydefault=false
      - --providers.swarm.network=public
      - --providers.swarm.refreshseconds=2
      - --entrypoints.web.address=:80
      - --entrypoints.web.http.redirections.entrypoint.to=websecure
      - --entrypoints.websecure.address=:443
      - --entrypoints.websecure.http.tls.certresolver=acme
      - --entrypoints.websecure.http.tls.domains[0].main=$DOMAIN
      - --entrypoints.websecure.http.tls.domains[0].sans=*.$DOMAIN
      - --entrypoints.ping.address=127.0.0.1:8082
      - --ping.entrypoint=ping
      - --certificatesresolvers.acme.acme.email=admin@$ZONE
      - --certificatesresolvers.acme.acme.storage=/data/acme.json
      - --certificatesresolvers.acme.acme.caserver=$ACME_URL
      - --certificatesresolvers.acme.acme.dnschallenge.provider=cloudflare
    environment:
      CF_DNS_API_TOKEN_FILE: /run/secrets/dns_token
      CLOUDFLARE_BASE_URL: $CLOUDFLARE_URL
      LEGO_CA_CERTIFICATES: /etc/traefik/acme-ca.pem
    ports:
      - {target: 80, published: 80, mode: host}
      - {target: 443, published: 443, mode: host}
    networks: [public]
    volumes:
      - /var/run/docker.sock:/var/run/docker.sock:ro
      - data:/data
    secrets: [dns_token]
    configs: [{source: acme_ca, target: /etc/traefik/acme-ca.pem}]
    healthcheck:
      test: [CMD, traefik, healthcheck, --ping.entrypoint=ping, --entrypoints.ping.address=127.0.0.1:8082]
      interval: 3s
      retries: 10
      start_period: 20s
    deploy: {replicas: 1, endpoint_mode: dnsrr}
END
docker stack deploy --compose-file /root/traefik.yml traefik >/dev/null 2>&1

# Portainer, its name, its token
curl --silent --show-error --fail --config - --output /dev/null "$CLOUDFLARE_URL/zones/$(
  curl --silent --show-error --fail --config - "$CLOUDFLARE_URL/zones?name=$ZONE" <<<"header = \"Authorization: Bearer $CLOUDFLARE_TOKEN\"" |
    sed 's/.*"result": *\[{"id": *"\([^"]*\)".*/\1/')/dns_records" <<END
header = "Authorization: Bearer $CLOUDFLARE_TOKEN"
header = "Content-Type: application/json"
data = "{\"type\": \"A\", \"name\": \"portainer.$DOMAIN\", \"content\": \"$ADDRESS\"}"
END
printf %s "$PORTAINER_PASSWORD" | docker secret create portainer_password - >/dev/null
cat >/root/portainer.yml <<END
version: "3.8"
networks: {public: {external: true}}
volumes: {data: {}}
secrets: {portainer_password: {external: true}}
services:
  portainer:
    image: portainer/portainer-ce:2.33.5
    command: [-H, "unix:///var/run/docker.sock", --admin-password-file, /run/secrets/portainer_password]
    networks: [public]
    volumes:
      - /var/run/docker.sock:/var/run/docker.sock
      - data:/data
    secrets: [portainer_password]
    deploy:
      replicas: 1
      endpoint_mode: dnsrr
      labels:
        traefik.enable: "true"
        traefik.http.routers.portainer.rule: Host(\`portainer.$DOMAIN\`)
        traefik.http.routers.portainer.entrypoints: websecure
        traefik.http.services.portainer.loadbalancer.server.port: "9000"
END
docker stack deploy --compose-file /root/portainer.yml portainer >/dev/null 2>&1
printf %s "$ACME_ROOT" >/root/acme-root.pem
portainer() {
  curl --silent --fail --cacert /root/acme-root.pem --resolve "portainer.$DOMAIN:443:$ADDRESS" --config - "https://portainer.$DOMAIN/api/$1"
}
until portainer system/status </dev/null >/dev/null; do sleep 1; done
session=$(portainer auth <<<"data = \"{\\\"Username\\\": \\\"admin\\\", \\\"Password\\\": \\\"$PORTAINER_PASSWORD\\\"}\"" |
  sed 's/.*"jwt": *"\([^"]*\)".*/\1/')
portainer users/1/tokens >/root/portainer-token <<END
header = "Authorization: Bearer $session"
data = "{\"password\": \"$PORTAINER_PASSWORD\", \"description\": \"bench\"}"
END
