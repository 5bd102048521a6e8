"""WordPress twice on one server: nobody but its owner gets either, and neither reaches the other's data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from tests.e2e.conftest import SERVER, container
from tests.e2e.https import Answer, ask
from tests.e2e.story import Story

FIRST, SECOND = "wordpress", "wordpress-cliente1"
TITLE = "Loja & Café do cliente"


@dataclass(frozen=True)
class Site:
    """An installed WordPress, seen from outside."""

    story: Story
    instance: str
    address: str

    @property
    def host(self) -> str:
        return f"{self.instance}.{SERVER}.{self.story.lab.zone}"

    @property
    def password(self) -> str:
        return self.story.secret(f"servers/{SERVER}/apps/{self.instance}/owner_password")

    def ask(self, path: str, form: Mapping[str, str] | None = None, cookies: Mapping[str, str] | None = None) -> Answer:
        root = self.story.lab.acme_root_file
        return ask(self.host, self.address, root, path, form=form, cookies=cookies, timeout=60)

    def log_in(self, password: str) -> Answer:
        form = {"log": "admin", "pwd": password, "testcookie": "1"}
        return self.ask("/wp-login.php", form, {"wordpress_test_cookie": "WP%20Cookie%20check"})

    def take_over(self) -> Answer:
        """What a stranger tries with the setup page."""
        password = "a-strangers-password"
        return self.ask(
            "/wp-admin/install.php?step=2",
            {
                "weblog_title": "Mine now",
                "user_name": "stranger",
                "admin_password": password,
                "admin_password2": password,
                "admin_email": "stranger@example.com",
            },
        )


def mysql(target: Any, query: str) -> str:
    """What root's client prints, from inside the database's container."""
    password = 'export MYSQL_PWD="$(cat /run/secrets/root_password)"'
    program = f'{password}; exec mysql --user=root --batch --skip-column-names --execute="$0"'
    return str(target.check_output(f"docker exec {container(target, 'mysql_mysql')} sh -c '{program}' %s", query))


def php(target: Any, instance: str, code: str, given: str = "true") -> str:
    """What a script prints in a site's container, with what the command `given` prints on its standard input."""
    site = container(target, f"{instance}_site")
    return str(target.check_output(f"{given} | docker exec -i {site} php -r %s", code)).strip()


def databases_seen(target: Any, instance: str) -> set[str]:
    """The databases that a site's own user gets to see."""
    code = """
        $password = file_get_contents(getenv("WORDPRESS_DB_PASSWORD_FILE"));
        $database = new mysqli(strtok(getenv("WORDPRESS_DB_HOST"), ":"), getenv("WORDPRESS_DB_USER"), $password);
        foreach ($database->query("SHOW DATABASES") as $row) { echo $row["Database"], " "; }
    """
    return set(php(target, instance, code).split()) - {"information_schema", "performance_schema"}


@pytest.fixture(scope="module")
def result(story: Story, installed: dict[str, Any]) -> Any:
    apps = ("wordpress", "wordpress:cliente1")
    (done,) = story.run("app", "install", *apps, "--target", SERVER, "--yes", "--var", f"{SECOND}.title={TITLE}")
    return done


@pytest.fixture(scope="module", params=[FIRST, SECOND])
def site(story: Story, installed: dict[str, Any], result: Any, request: pytest.FixtureRequest) -> Site:
    return Site(story, request.param, installed["address"])


def test_a_site_answers_over_verified_https(site: Site) -> None:
    answer = site.ask("/")
    assert answer.status == 200
    title = "Loja &amp; Café do cliente" if site.instance == SECOND else site.host
    assert f"<title>{title}</title>" in answer.body.decode()
    # WordPress knows that it stands behind HTTPS: nothing of the page is fetched in the clear.
    assert f"https://{site.host}/" in answer.body.decode()
    assert f"http://{site.host}" not in answer.body.decode()


def test_the_owner_logs_in_with_the_password_in_the_vault_and_nobody_with_another(site: Site) -> None:
    refused = site.log_in("a-strangers-password")
    assert refused.status == 200
    assert not [name for name in refused.cookies if name.startswith("wordpress_logged_in")]
    welcome = site.log_in(site.password)
    assert (welcome.status, welcome.headers["Location"]) == (302, f"https://{site.host}/wp-admin/")
    users = site.ask("/wp-admin/users.php", cookies=welcome.cookies)
    assert users.status == 200
    assert f"admin@{SERVER}.{site.story.lab.zone}" in users.body.decode()


def test_the_setup_page_is_closed(site: Site) -> None:
    page = site.ask("/wp-admin/install.php")
    assert (page.status, b"already installed WordPress" in page.body) == (200, True)
    assert site.take_over().status == 403


def test_the_result_says_where_the_login_is(result: Any) -> None:
    logins = {one["instance"]: one["login"] for one in result["applications"]}
    assert logins[FIRST] == {"user": "admin", "secret": f"servers/{SERVER}/apps/{FIRST}/owner_password"}
    assert logins[SECOND]["secret"] != logins[FIRST]["secret"]


def test_each_has_a_stack_a_volume_a_database_and_a_password_of_its_own(site: Site, target: Any, story: Story) -> None:
    database = site.instance.replace("-", "_")
    assert site.instance in target.check_output("docker stack ls --format '{{.Name}}'").split()
    assert f"{site.instance}_html" in target.check_output("docker volume ls --quiet").split()
    assert "wp_posts" in mysql(target, f"SHOW TABLES IN {database}").split()
    assert databases_seen(target, site.instance) == {database}
    passwords = {story.secret(f"servers/{SERVER}/apps/{one}/mysql_password") for one in (FIRST, SECOND)}
    assert len(passwords) == 2


def test_a_user_has_no_right_on_a_database_that_is_called_almost_the_same(site: Site, target: Any) -> None:
    # An underscore in a GRANT stands for any letter, unless it is escaped.
    mysql(target, "CREATE DATABASE IF NOT EXISTS wordpressXcliente1")
    assert databases_seen(target, site.instance) == {site.instance.replace("-", "_")}
    mysql(target, "DROP DATABASE wordpressXcliente1")


def test_root_is_let_in_from_inside_the_database_only(result: Any, target: Any) -> None:
    code = """
        mysqli_report(MYSQLI_REPORT_OFF);
        echo @mysqli_connect("mysql_mysql", "root", stream_get_contents(STDIN)) ? "let in" : mysqli_connect_errno();
    """
    password = f"docker exec {container(target, 'mysql_mysql')} cat /run/secrets/root_password"
    # 1130: this host may not connect; 1045: not as this user.
    assert php(target, FIRST, code, given=password) in ("1130", "1045")
    assert mysql(target, "SELECT 1") == "1"


def test_a_second_install_changes_nothing(story: Story, result: Any) -> None:
    (again,) = story.install(SERVER, "wordpress", "wordpress:cliente1")
    assert again["changed"] is False


def test_an_update_finds_the_owners_account_and_leaves_it(story: Story, target: Any, result: Any) -> None:
    target.check_output("docker service update --quiet --detach --label-add livchat.definition=older wordpress_site")
    (updated,) = story.install(SERVER, "wordpress")
    assert updated["changed"] is True
    assert mysql(target, "SELECT user_login FROM wordpress.wp_users").split() == ["admin"]


def test_a_site_that_lost_its_tables_is_not_given_to_who_comes_first(
    story: Story, installed: dict[str, Any], target: Any, result: Any
) -> None:
    # The last test of this file: it leaves nothing of the second site.
    second = Site(story, SECOND, installed["address"])
    mysql(target, "DROP DATABASE wordpress_cliente1; CREATE DATABASE wordpress_cliente1")
    assert second.ask("/").headers["Location"] == f"https://{second.host}/wp-admin/install.php"
    assert second.take_over().status == 403
    assert mysql(target, "SHOW TABLES IN wordpress_cliente1") == ""
    story.run("app", "uninstall", SECOND, "--target", SERVER, "--drop-data", "--yes")
    assert "wordpress_cliente1" not in mysql(target, "SHOW DATABASES").split()
    assert SECOND not in target.check_output("docker stack ls --format '{{.Name}}'").split()
