#include "bench/offline_lm/http_server.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cassert>
#include <cerrno>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace dspool::offline_lm {
namespace {

// Longer than any client keeps an idle connection: a server that closes first makes a client's
// next request fail now and then, and nobody can say why.
constexpr int kIdleTimeoutMs = 300'000;
constexpr int kReadTimeoutMs = 10'000;
constexpr int kBacklog = 1024;
constexpr std::size_t kMaxRequestBytes = std::size_t{16} << 20;

// A connection's bytes. Reading ends when the server stops.
class SocketStream : public httplib::Stream {
 public:
  SocketStream(int socket, int stopping) : socket_(socket), stopping_(stopping) {}

  // Waits for bytes; false when time is up, the server stops, or the peer is gone.
  [[nodiscard]] bool wait_readable(int timeout_ms) const {
    if (position_ < filled_) return true;
    std::array<pollfd, 2> ends{{{socket_, POLLIN, 0}, {stopping_, POLLIN, 0}}};
    int ready;
    do {
      ready = poll(ends.data(), ends.size(), timeout_ms);
    } while (ready < 0 && errno == EINTR);
    return ready > 0 && (ends[1].revents & POLLIN) == 0;
  }

  [[nodiscard]] bool is_readable() const override { return wait_readable(kReadTimeoutMs); }
  [[nodiscard]] bool is_writable() const override { return true; }
  [[nodiscard]] socket_t socket() const override { return socket_; }

  ssize_t read(char* bytes, std::size_t size) override {
    if (position_ == filled_) {
      if (!is_readable()) return -1;
      const ssize_t got = recv(socket_, buffer_.data(), buffer_.size(), 0);
      if (got <= 0) return got;
      position_ = 0;
      filled_ = static_cast<std::size_t>(got);
    }
    const std::size_t taken = std::min(size, filled_ - position_);
    std::copy_n(buffer_.data() + position_, taken, bytes);
    position_ += taken;
    return static_cast<ssize_t>(taken);
  }

  ssize_t write(const char* bytes, std::size_t size) override {
    return send(socket_, bytes, size, MSG_NOSIGNAL);
  }

  // Only for logs, which this server does not write.
  void get_remote_ip_and_port(std::string& ip, int& port) const override { name(ip, port); }
  void get_local_ip_and_port(std::string& ip, int& port) const override { name(ip, port); }

 private:
  static void name(std::string& ip, int& port) {
    ip = "127.0.0.1";
    port = 0;
  }

  int socket_;
  int stopping_;
  std::array<char, 16 * 1024> buffer_;
  std::size_t position_ = 0;
  std::size_t filled_ = 0;
};

// Threads for connections: an idle one takes the next connection, else a new one is started.
class ConnectionThreads : public httplib::TaskQueue {
 public:
  explicit ConnectionThreads(std::size_t limit) : limit_(limit) {}

  void enqueue(std::function<void()> connection) override {
    const std::lock_guard lock(mutex_);
    waiting_.push_back(std::move(connection));
    if (waiting_.size() > idle_ && threads_.size() < limit_) {
      threads_.emplace_back([this] { serve(); });
    } else {
      changed_.notify_one();
    }
  }

  void shutdown() override {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

 private:
  void serve() {
    std::unique_lock lock(mutex_);
    for (;;) {
      ++idle_;
      changed_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
      --idle_;
      if (waiting_.empty()) return;
      const std::function<void()> connection = std::move(waiting_.front());
      waiting_.pop_front();
      lock.unlock();
      connection();
      lock.lock();
    }
  }

  const std::size_t limit_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> waiting_;
  std::vector<std::thread> threads_;
  std::size_t idle_ = 0;
  bool stopping_ = false;
};

}  // namespace

HttpServer::HttpServer(std::size_t max_connections)
    : stopping_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  assert(stopping_ >= 0);
  new_task_queue = [max_connections] { return new ConnectionThreads(max_connections); };
  set_tcp_nodelay(true);
  set_payload_max_length(kMaxRequestBytes);
}

HttpServer::~HttpServer() {
  stop_serving();
  close(stopping_);
}

std::optional<std::uint16_t> HttpServer::start(const std::string& host, std::uint16_t port) {
  int listener = -1;
  set_socket_options([&listener](socket_t socket) {
    const int on = 1;  // but not SO_REUSEPORT: two servers on one port must not go unnoticed
    setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    listener = socket;
  });
  const int bound = port == 0 ? bind_to_any_port(host) : bind_to_port(host, port) ? port : -1;
  set_socket_options(httplib::default_socket_options);
  if (bound <= 0) return std::nullopt;
  ::listen(listener, kBacklog);
  acceptor_ = std::thread([this] { listen_after_bind(); });
  while (!is_running()) std::this_thread::yield();  // stop() does nothing before
  return static_cast<std::uint16_t>(bound);
}

void HttpServer::stop_serving() {
  if (!acceptor_.joinable()) return;
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(stopping_, &one, sizeof one);
  assert(written == sizeof one);
  stop();
  acceptor_.join();
}

bool HttpServer::process_and_close_socket(socket_t socket) {
  SocketStream stream(socket, stopping_);
  bool closed = false;
  while (!closed && stream.wait_readable(kIdleTimeoutMs)) {
    if (!process_request(stream, /*close_connection=*/false, closed, nullptr)) break;
  }
  shutdown(socket, SHUT_RDWR);
  close(socket);
  return true;
}

}  // namespace dspool::offline_lm
