#!/bin/sh
# Chromium for the tests that look at pages in a browser. Where it is missing and can be installed without a question (as
# root, by apt-get), it is; else those tests are skipped. Never fails: all other tests need none.
for name in chromium chromium-browser google-chrome; do
    command -v "$name" >/dev/null 2>&1 && exit 0
done
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing Chromium"
    export DEBIAN_FRONTEND=noninteractive
    apt="timeout 300 apt-get -qq -o Acquire::Retries=1 -o Acquire::http::Timeout=15"
    $apt update >/dev/null 2>&1
    $apt install -y --no-install-recommends chromium >/dev/null 2>&1
fi
command -v chromium >/dev/null 2>&1 || echo "no Chromium: the tests that need a browser are skipped"
exit 0
