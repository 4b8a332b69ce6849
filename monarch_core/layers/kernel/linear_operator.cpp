// The product of a Monarch matrix with rows as an operator of torch, torch.ops.monarch.linear, with its
// gradients: to the kernel and back without Python in between, which on few rows would take longer than
// the product itself.

#include <ATen/Parallel.h>
#include <array>
#include <c10/core/impl/TorchDispatchModeTLS.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

namespace {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;
using MaybeTensor = std::optional<Tensor>;
using Multiply = void (*)(const int64_t *sizes, const float *x, const float *L, const float *R,
                          const float *bias, float *z, float *y, int threads);
using Gradients = void (*)(const int64_t *sizes, const float *g, const float *x, const float *L,
                           const float *R, const float *z, float *dx, float *dL, float *dR,
                           float *dbias, int threads);
// Those of monarch_linear.h, of the kernel that is in use.
Multiply multiply_rows = nullptr;
Gradients gradients_of_rows = nullptr;

// A tensor in the memory of the CPU, of torch itself, that holds its numbers as they are; or none.
bool is_plain(const Tensor &t) {
    using Key = c10::DispatchKey;
    constexpr c10::DispatchKeySet plain(
        {Key::CPU, Key::AutogradCPU, Key::AutocastCPU, Key::ADInplaceOrView});
    return !t.defined() || (t.scalar_type() == at::kFloat && plain.has_all(t.key_set()) &&
                            !t._fw_grad(0).defined());
}

// As monarch_linear::Sizes.
std::array<int64_t, 7> sizes_of(int64_t n_rows, const Tensor &L, const Tensor &R, int64_t n_in,
                                int64_t n_out) {
    return {n_rows, L.size(0), L.size(1), L.size(2), R.size(2), n_in, n_out};
}

bool ends_with(const Tensor &x, int64_t n) {
    return x.dim() > 0 && x.size(-1) == n && x.numel() > 0;
}

bool fit(const Tensor &L, const Tensor &R, int64_t n_in, int64_t n_out) {
    if (L.dim() != 3 || R.dim() != 3) return false;
    const auto [n_rows, N, s, h, a, in, out] = sizes_of(1, L, R, n_in, n_out);
    return R.size(0) == N && R.size(1) == h && N * (a - 1) < in && in <= N * a &&
           N * (s - 1) < out && out <= N * s;
}

const float *numbers(const Tensor &t) { return t.defined() ? t.const_data_ptr<float>() : nullptr; }

float *room(const Tensor &t) { return t.defined() ? t.mutable_data_ptr<float>() : nullptr; }

Tensor contiguous(const Tensor &t) { return t.defined() ? t.contiguous() : t; }

std::vector<int64_t> with_last(at::IntArrayRef sizes, int64_t n) {
    auto shape = sizes.vec();
    shape.back() = n;
    return shape;
}

Tensor product(const Tensor &x, const Tensor &L, const Tensor &R, const Tensor &bias, int64_t n_out,
               Tensor *z = nullptr) {
    const Tensor given[] = {contiguous(x), contiguous(L), contiguous(R), contiguous(bias)};
    const Tensor y = at::empty(with_last(x.sizes(), n_out), x.options());
    const auto sizes = sizes_of(x.numel() / x.size(-1), L, R, x.size(-1), n_out);
    if (z) *z = at::empty({L.size(0), sizes[0], L.size(2)}, x.options());
    multiply_rows(sizes.data(), numbers(given[0]), numbers(given[1]), numbers(given[2]),
                  numbers(given[3]), z ? room(*z) : nullptr, room(y), at::get_num_threads());
    return y;
}

// Keeps x for the gradients of the factors alone, and nothing of the bias.
struct MonarchLinear : torch::autograd::Function<MonarchLinear> {
    static Tensor forward(AutogradContext *context, const Tensor &x, const Tensor &L,
                          const Tensor &R, const MaybeTensor &bias, int64_t n_out) {
        at::AutoDispatchBelowADInplaceOrView below;
        const bool factors_learn = L.requires_grad() || R.requires_grad();
        Tensor z;
        const Tensor y =
            product(x, L, R, bias.value_or(Tensor()), n_out, L.requires_grad() ? &z : nullptr);
        context->save_for_backward({factors_learn ? x : Tensor(), L, R, z});
        context->saved_data["n_in"] = x.size(-1);
        context->saved_data["has_bias"] = bias.has_value();
        return y;
    }

    static variable_list backward(AutogradContext *context, variable_list grads) {
        const auto saved = context->get_saved_variables();
        const Tensor &g = grads[0], &x = saved[0], &L = saved[1], &R = saved[2], &z = saved[3];
        const int64_t n_in = context->saved_data["n_in"].toInt(), n_out = g.size(-1);
        const int n_inputs = context->saved_data["has_bias"].toBool() ? 4 : 3;
        std::array<bool, 4> needed{};
        for (int i = 0; i < n_inputs; ++i) needed[i] = context->needs_input_grad(i);
        variable_list found(5);
        if (at::GradMode::is_enabled() || !may_read(g, x, L, R, z, n_in)) {
            static const auto formula =
                c10::Dispatcher::singleton()
                    .findSchemaOrThrow("monarch::linear_gradients", "")
                    .typed<variable_list(const Tensor &, const MaybeTensor &, const Tensor &,
                                         const Tensor &, int64_t, std::array<bool, 4>)>();
            const MaybeTensor maybe_x = x.defined() ? MaybeTensor(x) : std::nullopt;
            const auto left = formula.call(g, maybe_x, L, R, n_in, needed);
            for (int i = 0, next = 0; i < 4; ++i)
                if (needed[i]) found[i] = left[next++];
            return found;
        }
        if (needed[0]) found[0] = at::empty(with_last(g.sizes(), n_in), g.options());
        if (needed[1]) found[1] = at::empty(L.sizes(), g.options());
        if (needed[2]) found[2] = at::empty(R.sizes(), g.options());
        if (needed[3]) found[3] = at::empty({n_out}, g.options());
        const Tensor given[] = {contiguous(g), contiguous(x), contiguous(L), contiguous(R),
                                contiguous(z)};
        const auto sizes = sizes_of(g.numel() / n_out, L, R, n_in, n_out);
        gradients_of_rows(sizes.data(), numbers(given[0]), numbers(given[1]), numbers(given[2]),
                          numbers(given[3]), numbers(given[4]), room(found[0]), room(found[1]),
                          room(found[2]), room(found[3]), at::get_num_threads());
        return found;
    }

private:
    // Whether these are as `forward` has saved them, which hooks may have changed, and no mode watches.
    static bool may_read(const Tensor &g, const Tensor &x, const Tensor &L, const Tensor &R,
                         const Tensor &z, int64_t n_in) {
        for (const Tensor &t : {g, x, L, R, z})
            if (!is_plain(t)) return false;
        const int64_t n_out = g.size(-1), n_rows = g.numel() / n_out;
        return !c10::impl::dispatch_mode_enabled() && fit(L, R, n_in, n_out) &&
               (!x.defined() || (ends_with(x, n_in) && x.numel() / n_in == n_rows)) &&
               (!z.defined() || z.sizes() == at::IntArrayRef({L.size(0), n_rows, L.size(2)}));
    }
};

// M x + bias, or nothing where one of these is not what the kernel takes.
MaybeTensor linear(const Tensor &x, const Tensor &L, const Tensor &R, const MaybeTensor &bias,
                   int64_t n_in, int64_t n_out) {
    const Tensor b = bias.value_or(Tensor());
    bool learns = false;
    for (const Tensor &t : {x, L, R, b}) {
        if (!is_plain(t)) return std::nullopt;
        learns = learns || (t.defined() && t.requires_grad());
    }
    const bool fits = ends_with(x, n_in) && fit(L, R, n_in, n_out) &&
                      (!b.defined() || (b.dim() == 1 && b.size(0) == n_out));
    if (!fits) return std::nullopt;
    if (learns && at::GradMode::is_enabled()) return MonarchLinear::apply(x, L, R, bias, n_out);
    return product(x, L, R, b, n_out);
}

} // namespace

// Makes the operator, once in a process, and has it use these functions of the kernel.
extern "C" void use_kernel(void *multiply, void *gradients) {
    multiply_rows = reinterpret_cast<Multiply>(multiply);
    gradients_of_rows = reinterpret_cast<Gradients>(gradients);
    static const torch::Library library = [] {
        torch::Library made(torch::Library::FRAGMENT, "monarch", std::nullopt, __FILE__, __LINE__);
        made.impl("linear", linear);
        return made;
    }();
}
