// Reads the details of the sidecar's errors with Go's stock status library, with no stubs: an empty message of
// any type is an empty request.
package main

import (
	"context"
	"encoding/json"
	"log"
	"os"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
)

func main() {
	connection, err := grpc.Dial(os.Args[1], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatal(err)
	}
	defer connection.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	err = connection.Invoke(ctx, "/imprest.v1.QuotaService/Consume", &emptypb.Empty{}, &emptypb.Empty{})
	told := status.Convert(err)
	seen := map[string]any{"code": told.Code().String()}
	for _, detail := range told.Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			seen["reason"], seen["domain"], seen["metadata"] = info.Reason, info.Domain, info.Metadata
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(seen); err != nil {
		log.Fatal(err)
	}
}
