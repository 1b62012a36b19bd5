#!/bin/sh
# Runs one Kafka node that lets nobody in without a name: TLS with SCRAM-SHA-512 for clients, an access list that denies
# what it does not name. The first start makes the principals from the secret files (a password is changed later with
# kafka-configs.sh); `python -m services.kernel.broker_access` then fills the access list from the manifests.
set -eu
umask 077

home=${KAFKA_HOME:-/opt/kafka}
secrets=${KAFKA_SECRETS_DIR:-/run/secrets}
data=${KAFKA_DATA_DIR:-/var/lib/kafka/data}
host=${KAFKA_HOST:-kafka}
port=${KAFKA_PORT:-9092}
controller_port=${KAFKA_CONTROLLER_PORT:-9093}
properties=${KAFKA_PROPERTIES:-/tmp/server.properties}
scram=org.apache.kafka.common.security.scram.ScramLoginModule
plain=org.apache.kafka.common.security.plain.PlainLoginModule
# Both ends of the controller's connection are in this process: a password for one run is enough.
once=$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')

cat > "$properties" <<PROPERTIES
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$controller_port
listeners=SASL_SSL://${KAFKA_LISTEN:-}:$port,CONTROLLER://127.0.0.1:$controller_port
advertised.listeners=SASL_SSL://$host:$port
controller.listener.names=CONTROLLER
listener.security.protocol.map=SASL_SSL:SASL_SSL,CONTROLLER:SASL_PLAINTEXT
security.inter.broker.protocol=SASL_SSL
sasl.enabled.mechanisms=SCRAM-SHA-512
sasl.mechanism.inter.broker.protocol=SCRAM-SHA-512
sasl.mechanism.controller.protocol=PLAIN
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=$scram required username="broker" password="$(cat "$secrets/broker_kafka")";
listener.name.controller.sasl.enabled.mechanisms=PLAIN
listener.name.controller.plain.sasl.jaas.config=$plain required username="controller" password="$once" user_controller="$once";
ssl.keystore.type=PEM
ssl.keystore.location=$secrets/kafka_keystore
ssl.truststore.type=PEM
ssl.truststore.location=$secrets/kafka_ca
ssl.client.auth=none
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
allow.everyone.if.no.acl.found=false
super.users=User:broker;User:controller;User:administrator
log.dirs=$data
auto.create.topics.enable=false
num.partitions=6
message.max.bytes=1048576
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
# A committed position lives longer than any topic.
offsets.retention.minutes=86400
PROPERTIES

if [ ! -f "$data/meta.properties" ]; then
    set --
    for principal in administrator broker inspection outage portrait notify; do
        set -- "$@" --add-scram "SCRAM-SHA-512=[name=$principal,password=$(cat "$secrets/${principal}_kafka")]"
    done
    "$home/bin/kafka-storage.sh" format --config "$properties" --cluster-id "$CLUSTER_ID" "$@"
fi
exec "$home/bin/kafka-server-start.sh" "$properties"
