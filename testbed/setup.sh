# Runs once, as root, inside the new system, with no network. DEPLOY_PASSWORD is set in front of it.
set -eu
export LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive

# Every host brings its own identity.
rm -f /etc/ssh/ssh_host_* /etc/hostname /etc/resolv.conf
: > /etc/machine-id
: > /etc/resolv.conf
: > /etc/fstab

# The account that deployments log in with; root takes the same key.
useradd --create-home --shell /bin/bash deploy
echo 'deploy ALL=(ALL:ALL) NOPASSWD: ALL' > /etc/sudoers.d/deploy
chmod 0440 /etc/sudoers.d/deploy
install -d -m 0700 /root/.ssh
install -d -m 0700 -o deploy -g deploy /home/deploy/.ssh
printf 'UseDNS no\nMaxStartups 200\nMaxSessions 50\nPasswordAuthentication no\n' > /etc/ssh/sshd_config.d/testbed.conf

systemctl enable --quiet systemd-networkd.service
systemctl mask --quiet apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
    fstrim.timer console-getty.service systemd-networkd-wait-online.service

# The drivers can be taken away and installed again without a network.
packages=/srv/packages
install -d "$packages"
mv /var/cache/apt/archives/python3-psycopg_*.deb /var/cache/apt/archives/python3-pymysql_*.deb "$packages"
for deb in "$packages"/*.deb; do
    dpkg-deb --field "$deb"
    printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' \
        "${deb##*/}" "$(stat -c %s "$deb")" "$(sha256sum "$deb" | cut -d' ' -f1)"
done > "$packages/Packages"
rm -rf /etc/apt/sources.list.d/* /var/lib/apt/lists/* /var/cache/apt/archives/*.deb
echo "deb [trusted=yes] file:$packages ./" > /etc/apt/sources.list
apt-get update -q

# debootstrap has no locale, so its cluster has no encoding: a new one, in UTF-8.
version=$(ls /etc/postgresql)
pg_dropcluster "$version" main
pg_createcluster --locale C.UTF-8 --encoding UTF8 "$version" main
pg_conftool "$version" main set listen_addresses '*'
pg_conftool "$version" main set shared_buffers 32MB
echo 'host all all samenet scram-sha-256' >> "/etc/postgresql/$version/main/pg_hba.conf"
pg_ctlcluster --skip-systemctl-redirect "$version" main start
runuser -u postgres -- psql --quiet --no-psqlrc --set=ON_ERROR_STOP=1 <<SQL
CREATE ROLE windlass_deploy LOGIN CREATEDB PASSWORD '$DEPLOY_PASSWORD';
CREATE DATABASE salon OWNER windlass_deploy;
SQL
pg_ctlcluster --skip-systemctl-redirect "$version" main stop
rm -f /var/log/postgresql/*

# MariaDB is there, but starts only when somebody wants it: a host boots faster without.
systemctl disable --quiet mariadb.service
cat > /etc/mysql/first.sql <<SQL
CREATE USER IF NOT EXISTS windlass_deploy IDENTIFIED BY '$DEPLOY_PASSWORD';
GRANT ALL ON *.* TO windlass_deploy;
SQL
chown mysql: /etc/mysql/first.sql
chmod 0600 /etc/mysql/first.sql
printf '[mariadbd]\nbind-address = 0.0.0.0\ninit-file = /etc/mysql/first.sql\ninnodb-buffer-pool-size = 32M\n' \
    > /etc/mysql/mariadb.conf.d/99-testbed.cnf
