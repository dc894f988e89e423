internal import COpenBLAS

/// A symmetric positive definite matrix of doubles, [order, order], all elements kept.
package struct SymmetricMatrix: Sendable {
    package let order: Int
    package private(set) var elements: [Double]

    /// - Precondition: `elements` has `order * order` elements.
    package init(order: Int, elements: [Double]) {
        precondition(elements.count == order * order, "\(elements.count) elements for order \(order)")
        self.order = order
        self.elements = elements
    }

    package subscript(row: Int, column: Int) -> Double { elements[row * order + column] }

    /// The inverse; nil if the matrix is not positive definite.
    package func inverse() -> SymmetricMatrix? {
        guard var factor = choleskyFactor() else { return nil }
        var (size, info) = (Int32(order), Int32(0))
        dpotri_("L", &size, &factor, &size, &info)
        guard info == 0 else { return nil }
        // LAPACK's lower triangle by columns is the upper one by rows.
        for row in 0..<order {
            for column in row + 1..<max(order, row + 1) { factor[column * order + row] = factor[row * order + column] }
        }
        return SymmetricMatrix(order: order, elements: factor)
    }

    /// Cholesky's upper factor U by rows, `U^T U` being this matrix; what lies below the diagonal means nothing. Nil if the matrix is not
    /// positive definite.
    package func choleskyFactor() -> [Double]? {
        var factor = elements
        var (size, info) = (Int32(order), Int32(0))
        dpotrf_("L", &size, &factor, &size, &info)
        return info == 0 ? factor : nil
    }

    /// `rows` [count, order] times this matrix.
    package func product(rows: [Double], count: Int) -> [Double] {
        precondition(rows.count == count * order, "\(rows.count) elements for \(count) rows of \(order)")
        var result = [Double](repeating: 0, count: rows.count)
        if rows.isEmpty { return result }
        BLAS.multiply(m: count, n: order, k: order, a: rows, b: elements, c: &result)
        return result
    }
}
