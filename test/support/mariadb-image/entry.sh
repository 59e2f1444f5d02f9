# What the entry points of the MySQL and MariaDB images do, as far as it is used.
set -eu
mkdir -p /run/mysqld && chown mysql /run/mysqld /var/lib/mysql
if [ ! -d /var/lib/mysql/mysql ]; then
  mariadb-install-db --user=mysql --datadir=/var/lib/mysql >/dev/null
  cat > /var/lib/mysql/first.sql <<SQL
CREATE DATABASE $MYSQL_DATABASE CHARACTER SET utf8mb4;
CREATE USER '$MYSQL_USER'@'%' IDENTIFIED BY '$(cat "$MYSQL_PASSWORD_FILE")';
GRANT ALL ON $MYSQL_DATABASE.* TO '$MYSQL_USER'@'%';
SQL
  chown mysql /var/lib/mysql/first.sql; chmod 600 /var/lib/mysql/first.sql
  set -- "$@" --init-file=/var/lib/mysql/first.sql
fi
exec mariadbd --user=mysql --bind-address=0.0.0.0 "$@"
