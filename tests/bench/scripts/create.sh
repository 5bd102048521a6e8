# Creates a server by hand, on the operator's machine. Wants NAME, HETZNER_URL, HETZNER_TOKEN, KEY (a file), KNOWN_HOSTS;
# prints the server's address.
set -euo pipefail
api() {
  curl --silent --show-error --fail --config - "$@" <<END
header = "Authorization: Bearer $HETZNER_TOKEN"
header = "Content-Type: application/json"
END
}
field() { python3 -c 'import json, sys; print(eval("json.load(sys.stdin)" + sys.argv[1]))' "$1"; }
ssh-keygen -q -t ed25519 -N '' -f "$KEY"
key=$(api "$HETZNER_URL/ssh_keys" --data "{\"name\": \"$NAME\", \"public_key\": \"$(cat "$KEY.pub")\"}" | field '["ssh_key"]["id"]')
wall=$(api "$HETZNER_URL/firewalls" --data '{"name": "'"$NAME"'", "rules": [
  {"direction": "in", "protocol": "tcp", "port": "22", "source_ips": ["0.0.0.0/0", "::/0"]},
  {"direction": "in", "protocol": "tcp", "port": "80", "source_ips": ["0.0.0.0/0", "::/0"]},
  {"direction": "in", "protocol": "tcp", "port": "443", "source_ips": ["0.0.0.0/0", "::/0"]},
  {"direction": "in", "protocol": "icmp", "source_ips": ["0.0.0.0/0", "::/0"]}]}' | field '["firewall"]["id"]')
made=$(api "$HETZNER_URL/servers" --data '{"name": "'"$NAME"'", "server_type": "cx23", "location": "nbg1", "image": "debian-13",
  "ssh_keys": ['"$key"'], "firewalls": [{"firewall": '"$wall"'}]}')
action=$(field '["action"]["id"]' <<<"$made")
address=$(field '["server"]["public_net"]["ipv4"]["ip"]' <<<"$made")
until [ "$(api "$HETZNER_URL/actions/$action" | field '["action"]["status"]')" = success ]; do sleep 1; done
until ssh -i "$KEY" -o UserKnownHostsFile="$KNOWN_HOSTS" -o StrictHostKeyChecking=accept-new -o BatchMode=yes \
  -o ConnectTimeout=5 "root@$address" true 2>/dev/null; do sleep 1; done
echo "$address"
