# repack.sh FOLDER SUITE RELEASE: a signed repository of what Docker's own has, laid out as that one is. Two versions of the
# packages, so that there is one to ask for; what is in them is the same.
set -eu
suite=$2
release=$3
architecture=$(dpkg --print-architecture)
pool=dists/$suite/pool/stable/$architecture
index=dists/$suite/stable/binary-$architecture

apt-get update -qq
apt-get install -qq -y --no-install-recommends apt-utils gpg gpg-agent >/dev/null
mkdir -p "/work" "$1/debian/$pool" "$1/debian/$index"
cd /work
apt-get download -qq docker.io docker-cli containerd

# repack ORIGINAL NAME VERSION
repack() {
  rm -rf tree
  dpkg-deb --raw-extract "$1"_*.deb tree
  sed -i \
    -e "s/^Package: .*/Package: $2/" \
    -e "s/^Version: .*/Version: $3/" \
    -e '/^\(Source\|Breaks\|Replaces\|Conflicts\|Provides\|Recommends\|Suggests\|Enhances\):/d' \
    -e '/^Depends:/s/\bcontainerd\b\( ([^)]*)\)\?/containerd.io/' \
    -e "/^Package:/a Conflicts: $1" \
    tree/DEBIAN/control
  dpkg-deb --root-owner-group -Zgzip -z1 --build tree "$4/debian/$pool" >/dev/null
}

for version in 26.1.4 26.1.5; do
  repack docker.io docker-ce "5:$version-1~debian.$release~$suite" "$1"
  repack docker-cli docker-ce-cli "5:$version-1~debian.$release~$suite" "$1"
done
repack containerd containerd.io 1.7.24-1 "$1"

cd "$1/debian"
apt-ftparchive packages "$pool" > "$index/Packages"
for field in Origin=Docker "Label=Docker CE" "Suite=$suite" "Codename=$suite" "Architectures=$architecture" Components=stable; do
  set -- "$@" -o "APT::FTPArchive::Release::$field"
done
shift 3
apt-ftparchive "$@" release "dists/$suite" > Release
mv Release "dists/$suite/"
GNUPGHOME=$(mktemp -d)
export GNUPGHOME
gpg --batch --quiet --passphrase '' --quick-generate-key 'Docker Release, simulated by the lab' ed25519 sign never
gpg --batch --clearsign --output "dists/$suite/InRelease" "dists/$suite/Release"
gpg --batch --armor --export > gpg
