/** The yardstick: grpc-js with ts-proto and plain handlers that decide nothing. Argument: the socket's path. */
import { Server, ServerCredentials, type sendUnaryData } from "@grpc/grpc-js";
import { QuotaServiceService } from "../../src/gen/imprest/v1/quota.ts";
import { ANSWERS } from "./calls.ts";

const server = new Server();
const answer =
  <T>(message: T) =>
  (_: unknown, done: sendUnaryData<T>): void =>
    done(null, message);
const { check, consume, reserve, commit } = QuotaServiceService;
server.addService(
  { check, consume, reserve, commit },
  {
    check: answer(ANSWERS.check),
    consume: answer(ANSWERS.consume),
    reserve: answer(ANSWERS.reserve),
    commit: answer(ANSWERS.commit),
  },
);
server.bindAsync(`unix:${process.argv[2]}`, ServerCredentials.createInsecure(), (error) => {
  if (error) throw error;
  console.log('{"msg":"serving"}');
});
