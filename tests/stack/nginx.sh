# shellcheck shell=bash
# nginx, as a program only: a test that wants one starts its own, before replicas of its own.
NGINX_PARTS=()

nginx_install() { apt_need nginx; }

nginx_fresh() { :; }

nginx_up() { :; }

nginx_down() { :; }

nginx_env() { echo "CODEXSYS_TEST_NGINX=$(command -v nginx)"; }
