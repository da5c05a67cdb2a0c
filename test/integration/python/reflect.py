"""Meets the service by reflection alone: no proto, no stubs, nothing but its address."""

import argparse
import json

import grpc
from google.protobuf import json_format, message_factory
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

SERVICE = "imprest.v1.QuotaService"


def call(channel, pool, method, request):
    """A unary call with messages that were made from what reflection told: `request` and the answer are JSON."""
    described = pool.FindServiceByName(SERVICE).FindMethodByName(method)
    Request = message_factory.GetMessageClass(described.input_type)
    Response = message_factory.GetMessageClass(described.output_type)
    unary = channel.unary_unary(
        f"/{SERVICE}/{method}", request_serializer=Request.SerializeToString, response_deserializer=Response.FromString
    )
    return json_format.MessageToDict(unary(json_format.ParseDict(request, Request()), timeout=10))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--address", required=True)
    channel = grpc.insecure_channel(parser.parse_args().address)
    database = ProtoReflectionDescriptorDatabase(channel)
    pool = DescriptorPool(database)
    service = pool.FindServiceByName(SERVICE)
    methods = {
        method.name: {
            "input": method.input_type.full_name,
            "output": method.output_type.full_name,
            "fields": [field.name for field in method.input_type.fields],
            "streams": [method.client_streaming, method.server_streaming],
        }
        for method in service.methods
    }
    subject = {"tenant": "acme", "dimensions": {"run": "reflected"}}
    action = {"kind": "llm.completion", "name": "gpt-4o"}
    usage = {"inputTokens": "1000", "outputTokens": "1000"}
    held = call(channel, pool, "Reserve", {"subject": subject, "action": action, "usage": usage, "ttl": "30s"})
    settled = call(channel, pool, "Commit", {"reservationId": held["reservationId"]})
    balance = call(channel, pool, "GetBalance", {"subject": subject})
    print(
        json.dumps(
            {
                "services": sorted(database.get_services()),
                "methods": methods,
                "held": held,
                "settled": settled,
                "balances": balance["balances"],
            }
        )
    )


if __name__ == "__main__":
    main()
