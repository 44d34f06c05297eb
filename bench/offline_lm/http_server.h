// httplib's request handling on connections of our own. httplib looks at an idle connection a
// hundred times a second, listens with a backlog of five, and on stop waits until the idle clients
// have gone; beside a load test on two cores each of these would be measured. Here an idle
// connection sleeps in poll, a thread per connection is started when it is needed and kept for the
// next one, and stop ends everything at once.
//
// Thread-safe once started; routes are added before.
#pragma once

#include <httplib.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <thread>

namespace dspool::offline_lm {

class HttpServer : public httplib::Server {
 public:
  // At most `max_connections` are served at once; more wait until one of them ends.
  explicit HttpServer(std::size_t max_connections);
  ~HttpServer() override;
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  // Listens on `host`, on a free port where `port` is 0, and serves on a thread of its own.
  // Nothing when the port cannot be had; otherwise the port.
  std::optional<std::uint16_t> start(const std::string& host, std::uint16_t port);

  // Ends every connection, also those within a request, and joins all threads. Idempotent.
  void stop_serving();

 private:
  bool process_and_close_socket(socket_t socket) override;

  int stopping_;  // an eventfd: readable from stop_serving on
  std::thread acceptor_;
};

}  // namespace dspool::offline_lm
